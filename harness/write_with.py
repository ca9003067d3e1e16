"""Where the parts of generation meet: an adapter reference, its base, and the texts they write."""

import dataclasses
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext

from harness.config.schema import GenerateCommand
from harness.errors import HarnessError
from harness.models.adapter import AdapterFiles, loaded
from harness.models.base import Base, open_base
from harness.models.weights_file import read_metadata
from harness.progress import Display
from harness.references import find_adapter
from harness.sampling.samples import Origin, Sample, sample
from harness.tracking.store import open_store


def write_with(command: GenerateCommand, themes: list[str]) -> Iterator[Sample]:
    """One text for each theme, as they are written.

    Raises:
        HarnessError: when the adapter or its base cannot be found, or do not belong together.
    """
    adapter = None if command.adapter is None else find_adapter(command.adapter, lambda: open_store(command.tracking))
    base = _base(command, adapter)
    settings = command.generate
    attached: AbstractContextManager[None] = nullcontext()
    origin = Origin(base.path, None, None, None)
    if adapter is not None:
        attached = loaded(base.model, adapter, scale=settings.scale)
        run = read_metadata(adapter.weights).get("run")
        origin = Origin(base.path, adapter.source, run, adapter.iteration)
    with attached:
        Display().say(f"reading the weights of {base.path}")
        base.materialize()
        yield from sample(base.model, base.tokenizer, themes, settings, system=command.data.system, origin=origin)


def _base(command: GenerateCommand, adapter: AdapterFiles | None) -> Base:
    """The base asked for, or else the one that the adapter names; they must not differ."""
    model = command.model
    if adapter is None:
        if model.path is None:
            raise HarnessError("give adapter=…, or model=… for a base without one")
        return open_base(model)
    recorded = adapter.spec.base
    if model.path is None:
        if recorded is None:
            raise HarnessError(f"{adapter.source} does not say what base it was trained on; give it with model.path=…")
        model = dataclasses.replace(model, path=recorded)
    try:
        base = open_base(model)
    except HarnessError as error:
        raise HarnessError(f"the base of {adapter.source}: {error}") from error
    if adapter.spec.base_revision not in (None, base.revision):
        Display().say(
            f"warning: {adapter.source} was trained on {recorded} at {adapter.spec.base_revision}, "
            f"but {base.path} is at {base.revision}"
        )
    return base
