"""Is the adapter whole: its files there and as they were logged, every weight a number, and fit for the base it names.

Knows nothing of what it was trained for.
"""

from collections.abc import Callable

from harness.errors import HarnessError
from harness.files import digest_of
from harness.models.adapter import loaded
from harness.models.adapter_files import AdapterFiles
from harness.models.base import Base
from harness.models.tensors import no_numbers
from harness.releasing.checks.verdict import CheckKind, Verdict


def check_completeness(
    find: Callable[[], AdapterFiles], base_of: Callable[[AdapterFiles], Base], *, logged: str | None
) -> Verdict:
    """The figure is the number of faults.

    Args:
        find: reads the adapter, or raises what is wrong with its files.
        base_of: opens the base that it names, or raises why that cannot be.
        logged: the SHA-256 of its weights as they were logged, where that is known.
    """
    faults = _faults(find, base_of, logged)
    said = "its files are whole, every weight is a number, and it fits the base it was trained on"
    return Verdict(
        check=CheckKind.COMPLETENESS,
        passed=not faults,
        figure=len(faults),
        limit=0,
        said=faults[0] if faults else said,
        details=faults,
    )


def _faults(find: Callable[[], AdapterFiles], base_of: Callable[[AdapterFiles], Base], logged: str | None) -> list[str]:
    try:
        adapter = find()
    except HarnessError as error:
        return [str(error)]
    faults = _of_weights(adapter, logged)
    try:
        base = base_of(adapter)
    except HarnessError as error:
        return [*faults, str(error)]
    return [*faults, *_of_base(adapter, base)]


def _of_weights(adapter: AdapterFiles, logged: str | None) -> list[str]:
    faults = []
    if logged is not None and digest_of(adapter.weights) != logged:
        faults.append(f"{adapter.weights} does not hold the weights that were logged; put back a copy of it")
    try:
        if names := no_numbers(adapter.weights):
            faults.append(
                f"{names[0]} of {adapter.weights.name} holds what is no number"
                f"{f', and {len(names) - 1} others' if len(names) > 1 else ''}; take an earlier checkpoint"
            )
    except HarnessError as error:
        faults.append(str(error))
    return faults


def _of_base(adapter: AdapterFiles, base: Base) -> list[str]:
    faults = []
    revision = adapter.spec.base_revision
    if revision is None:
        faults.append(f"{adapter.source} does not say which revision of {base.path} it was trained on; train it here")
    elif revision not in (base.revision, base.former_revision):
        faults.append(
            f"{adapter.source} was trained on {base.path} at {revision}, but here that is {base.revision}; "
            "put the base of then back, or train on this one"
        )
    try:
        with loaded(base.model, adapter):
            pass
    except HarnessError as error:
        faults.append(str(error))
    return faults
