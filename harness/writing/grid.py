"""Where the parts of generation meet: adapters, their base, a plan of texts, and the file that they go to."""

import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from harness.config.schema import GenerateCommand
from harness.console.progress import Display
from harness.data.themes import read_themes
from harness.errors import HarnessError
from harness.files import only_process
from harness.machine.device import free_memory
from harness.machine.failures import watchdog_said
from harness.models.adapter_files import AdapterFiles
from harness.models.base import Base
from harness.models.common_base import common_base, weights_digest
from harness.models.stacked import BARE, StackedAdapters
from harness.models.tokenizer import Tokenizer
from harness.models.weights_file import read_metadata
from harness.sampling.engine import Engine
from harness.sampling.prompts import Prompt, variants
from harness.sampling.samples import (
    Origin,
    Planned,
    Sample,
    append_sample,
    marked,
    read_samples,
    write_in_order,
)
from harness.sampling.write import ToWrite, plan, write_with
from harness.tracking.references import Selection
from harness.tracking.store import open_store
from harness.writing.asked import differ, ways_of_asking

_TOGETHER = 8  # adapters in memory at most
_FREE_SHARE = 0.1  # of free memory, that the adapters may take


@dataclass(frozen=True)
class Part:
    """What one adapter, at one scale, is to write."""

    adapter: AdapterFiles | None
    scale: float
    planned: list[tuple[Planned, Prompt]]

    def as_in(self, known: set[Origin]) -> "Part":
        """Where a former version, which did not know the weights, began on it, it stays one adapter's texts."""
        former = [(dataclasses.replace(planned, weights=None), prompt) for planned, prompt in self.planned]
        began = bool(former) and former[0][0].origin in known
        return dataclasses.replace(self, planned=former) if began else self

    def without(self, done: set[str]) -> "Part":
        return dataclasses.replace(self, planned=[each for each in self.planned if each[0].id not in done])


@dataclass(frozen=True)
class Grid:
    """adapter × theme × variant × sample, on one base."""

    base: Base
    parts: list[Part]

    @property
    def planned(self) -> list[Planned]:
        return [planned for part in self.parts for planned, _ in part.planned]


def lay_out(command: GenerateCommand, scales: Sequence[float]) -> Grid:
    """Find adapters, base and prompts; no weight is read.

    Raises:
        HarnessError: for an adapter, theme or variant that is not there, or adapters of different bases.
    """
    themes = _themes(command)
    selection = Selection(
        adapters=command.adapters, from_iteration=command.from_iteration, first=command.first, top=command.top
    )
    adapters = selection.find(lambda: open_store(command.tracking))
    if not any(adapters) and list(scales) != [1]:
        raise HarnessError(f"scale {scales[0]:g} needs an adapter to scale; give adapters=…")
    asked = ways_of_asking(command, adapters)
    ways = [variants(each.prompt, command.variants) for each in asked]
    base = _base(command, [adapter for adapter in adapters if adapter is not None])
    if differ(asked):
        Display().say("each adapter is asked as its run recorded, not all alike; data= and prompt= ask all in one way")
    parts = []
    for adapter, told, said in zip(adapters, asked, ways, strict=True):
        tokenizer = _asked_as_trained(base, command, adapter)
        for scale in scales if adapter is not None else [1.0]:
            planned = plan(
                tokenizer,
                _origin(base, adapter, scale),
                themes,
                said,
                command.generate,
                n=command.n,
                system=told.system,
                fields=told.prompt.fields,
            )
            parts.append(Part(adapter, scale, planned))
    return Grid(base, parts)


def write_all(grid: Grid, command: GenerateCommand, display: Display) -> Iterator[Sample]:
    """The texts as they are finished, those of several adapters together on one resident base."""
    if not grid.planned:
        return
    display.say(f"reading the weights of {grid.base.path}")
    if grid.base.caveat:
        display.say(grid.base.caveat)
    base, settings = grid.base, command.generate
    base.materialize()
    with watchdog_said(), closing(StackedAdapters(base.model)) as adapters, display.texts(len(grid.planned)) as tell:
        engine = Engine(
            base.model,
            base.tokenizer.end_ids,
            batch_size=settings.batch_size,
            adapters=adapters,
            tell=cache(display.say),
        )
        for sample in write_with(engine, base.tokenizer, _in_turn(grid.parts, adapters)):
            tell(sample.tokens)
            yield sample


def _in_turn(parts: Sequence[Part], adapters: StackedAdapters) -> Iterator[ToWrite | None]:
    """Each part's texts with its adapter in a slot, as long as there is memory for another one."""
    for part in parts:
        if not part.planned:
            continue
        while not _room_for_another(adapters):
            yield None
        slot = BARE if part.adapter is None else adapters.put(part.adapter, part.scale)
        for planned, prompt in part.planned:
            yield ToWrite(slot, planned, prompt)
        if slot != BARE:
            adapters.drop(slot)  # when its last text is finished


def _room_for_another(adapters: StackedAdapters) -> bool:
    there = len(adapters.slots)
    return there == 0 or (there < _TOGETHER and adapters.nbytes < _FREE_SHARE * free_memory())


def write_into(out: Path, grid: Grid, command: GenerateCommand, display: Display) -> None:
    """Write what `out` does not have yet, appending; then put it in order, with duplicates marked.

    Raises:
        HarnessError: when the file is none of samples, or holds texts that were sampled otherwise.
    """
    lock = out.with_name(f".{out.name}.lock")
    with only_process(lock, f"out={out}"), ExitStack() as after:
        after.callback(lock.unlink)
        there = read_samples(out) if out.exists() else []
        _check_settings(out, there, command)
        grid = dataclasses.replace(grid, parts=[part.as_in({entry.origin for entry in there}) for part in grid.parts])
        _tell_of_other_weights(out, there, grid, display)
        done = {entry.id: entry for entry in there}
        left = dataclasses.replace(grid, parts=[part.without(set(done)) for part in grid.parts])
        if there:
            write_in_order(out, there)  # whole lines, to be appended to
            display.say(f"{out} has {len(grid.planned) - len(left.planned)} of {len(grid.planned)} texts already")
        for sample in write_all(left, command, display):
            append_sample(out, sample)
            done[sample.id] = sample
        wanted = [planned.id for planned in grid.planned]
        others = [entry.id for entry in there if entry.id not in set(wanted)]
        every = marked([done[each] for each in dict.fromkeys([*others, *wanted])])
        write_in_order(out, every)
    doubles = [entry for entry in every if entry.duplicate_of is not None]
    exact = sum(entry.likeness == 1 for entry in doubles)
    display.say(f"{out} has {len(every)} texts; {exact} are the same as another, {len(doubles) - exact} nearly")


def _check_settings(out: Path, there: Sequence[Sample], command: GenerateCommand) -> None:
    for entry in there:
        for name in ("temperature", "top_p", "max_tokens"):
            before, now = getattr(entry, name), getattr(command.generate, name)
            if before != now:
                raise HarnessError(
                    f"out={out} holds texts with generate.{name}={before:g}, but this command has {now:g}; "
                    "choose another file, or the same settings"
                )


def _tell_of_other_weights(out: Path, there: Sequence[Sample], grid: Grid, display: Display) -> None:
    """Say which texts are by an adapter, or a base, that was another when they were written."""
    for origin in {each.origin: None for each in grid.planned}:
        place = dataclasses.replace(origin, run=None, weights=None)  # another run may have trained there since
        alike = (each for each in there if dataclasses.replace(each.origin, run=None, weights=None) == place)
        count = sum(each.weights != origin.weights for each in alike)
        if count:
            name = origin.adapter or origin.base
            display.say(f"{out} has {count} texts by other weights of {name}, which stay; its own are written beside")


def _themes(command: GenerateCommand) -> list[str]:
    if command.theme is not None and command.themes is not None:
        raise HarnessError(f"give theme or themes, not both, but got {command.theme} and {command.themes}")
    if command.theme is not None:
        return [str(command.theme)]
    if command.themes is not None:
        return read_themes(Path(command.themes).expanduser())
    return command.generate.prompts


def _origin(base: Base, adapter: AdapterFiles | None, scale: float) -> Origin:
    if adapter is None:
        return Origin(base=base.path, weights=base.revision[:16])
    return Origin(
        base=base.path,
        adapter=adapter.source,
        run=read_metadata(adapter.weights).get("run"),
        iteration=adapter.iteration,
        scale=scale,
        weights=weights_digest(base, adapter),
    )


def _asked_as_trained(base: Base, command: GenerateCommand, adapter: AdapterFiles | None) -> Tokenizer:
    """The base's tokenizer, with what the adapter's chat template was given in training unless the command says."""
    if adapter is None:
        return base.tokenizer
    if command.model.template_args is None:
        return base.tokenizer.asked_with(adapter.spec.template_args)
    if command.model.template_args != adapter.spec.template_args:
        Display().say(
            f"warning: {adapter.source} was trained with model.template_args={adapter.spec.template_args}, "
            f"but is asked with {command.model.template_args}"
        )
    return base.tokenizer


def _base(command: GenerateCommand, adapters: Sequence[AdapterFiles]) -> Base:
    """The base asked for, or else the one that the adapters name; they must not differ."""
    if not adapters and command.model.path is None:
        raise HarnessError("give adapters=…, or model=… for a base without one")
    return common_base(command.model, adapters, Display().say)
