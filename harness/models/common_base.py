"""The one base of several adapters, and what names the weights that base and adapter make together.

Knows adapters by what they say of themselves. Does not know how they are put on.
"""

import dataclasses
import hashlib
import json
from collections.abc import Callable, Sequence

from harness.config.schema import ModelConfig
from harness.errors import HarnessError
from harness.models.adapter_files import AdapterFiles
from harness.models.base import Base, open_base
from harness.models.digests import digests

Say = Callable[[str], None]


def common_base(model: ModelConfig, adapters: Sequence[AdapterFiles], say: Say, *, setting: str = "model.path") -> Base:
    """The base asked for, or else the one that the adapters name; `say` hears what to know of it. `setting`: by which
    the base can be given.

    Raises:
        HarnessError: when the adapters name several, or there is none.
    """
    if model.path is None:
        recorded = {adapter.spec.base: adapter.source for adapter in adapters}
        if None in recorded:
            raise HarnessError(f"{recorded[None]} does not say what base it was trained on; give it with {setting}=…")
        if len(recorded) > 1:
            of = ", ".join(f"{source} of {base}" for base, source in recorded.items())
            raise HarnessError(f"all adapters must have one base, but got {of}; write with them one after the other")
        model = dataclasses.replace(model, path=next(iter(recorded), None))
    if model.template_args is None and adapters:  # the bare base beside them is asked as the first
        model = dataclasses.replace(model, template_args=adapters[0].spec.template_args)
    try:
        base = open_base(model, setting=setting)
    except HarnessError as error:
        raise HarnessError(f"the base of {adapters[0].source}: {error}" if adapters else str(error)) from error
    for warning in base.warnings:
        say(f"warning: {warning}")
    for adapter in adapters:
        if (other := of_another_base(adapter, base)) is not None:
            say(f"warning: {other}")
    return base


def of_another_base(adapter: AdapterFiles, base: Base) -> str | None:
    """What to say of an adapter that was trained on other weights than these; None where it was not."""
    if adapter.spec.base_revision in (None, base.revision, base.former_revision):
        return None
    return (
        f"{adapter.source} was trained on {adapter.spec.base} at {adapter.spec.base_revision}, "
        f"but {base.path} is at {base.revision}"
    )


def weights_digest(base: Base, adapter: AdapterFiles) -> str:
    """16 hex digits that change with anything that the two compute."""
    parts = [base.revision, adapter.spec.to_json(), digests([adapter.weights])[adapter.weights]]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]
