"""Where a run starts: at nothing, at its own last state, or with what another run did; and what is told of it then."""

import dataclasses
import shlex
from dataclasses import dataclass

import yaml

from harness.config.checks import total_updates
from harness.config.load import flat
from harness.config.schema import Config
from harness.data.dataset import describe
from harness.files import digest_of, write_json, write_text
from harness.machine.blas import Kind
from harness.machine.device import device
from harness.machine.provenance import versions
from harness.models.adapter_files import save_spec
from harness.run.context import RunContext
from harness.run.inputs import Inputs
from harness.run.log import Event
from harness.run.resume import Unfinished, clean, find_unfinished, other_blas
from harness.run.reuse import Source, find_source, take_over
from harness.run.session import Session
from harness.run.watcher import RunWatcher
from harness.tracking import run_folder
from harness.tracking.journal import Journal
from harness.tuning.state import Course

PROCESSES = "processes"  # the tag that says how many trained it, if more than one


@dataclass(frozen=True, kw_only=True)
class Start:
    """`former`: the run that is gone on with; `source`: another, of which a new run takes over what it did."""

    former: Unfinished | None = None
    source: Source | None = None

    @property
    def tags(self) -> dict[str, str]:
        """What a new run says of how it came about."""
        return {} if self.source is None else self.source.tags

    @property
    def is_whole(self) -> bool:
        """Whether nothing is left to train."""
        return self.source is not None and self.source.whole


def find_start(config: Config, inputs: Inputs, session: Session, *, sweep: str | None) -> Start:
    """As train.resume says; a trial looks for what others did as sweep.reuse says.

    Raises:
        HarnessError: when the run named cannot be gone on with.
    """
    former = find_unfinished(config, session, inputs.parts, sweep=sweep)
    if former is not None or sweep is None:
        return Start(former=former)
    anywhere = config.sweep.reuse == "store"
    return Start(
        source=find_source(config, inputs, session.store, sweep=sweep, anywhere=anywhere, warn=session.warn_once)
    )


def begin(context: RunContext, watcher: RunWatcher, start: Start) -> Course | None:
    """Tell MLflow what the run is, and take up what was done of it; returns how far that came, if it came."""
    if start.former is not None:
        course = start.former.course
        clean(context.folder)
        watcher.resume(course)
        context.display.say(f"going on with run {context.run.run_id} after update {course.step}")
        _say_other_blas(context)
        _say_other_processes(context)
        return course
    _log_beginning(context)
    if start.source is None:
        return None
    context.display.say(start.source.said)
    course = take_over(start.source, context.run, context.log)
    watcher.resume(course)
    for score in watcher.scores:
        context.stop(score)  # told, not asked: it was paid for elsewhere
    return course


def _say_other_blas(context: RunContext) -> None:
    products = other_blas(context.folder)
    if products is not None:
        was, now = products
        setting = 0 if was == Kind.REFERENCE else was
        context.display.say(
            f"warning: this run's matrix products were of the {was} BLAS and are now of the {now} one, so it will end "
            f"with other last digits than undisturbed; HARNESS_OPENBLAS={setting} goes on as it began"
        )
        context.run.tags({"device.blas": f"{was}, {now}"})


def _say_other_processes(context: RunContext) -> None:
    was, now = Journal(context.folder).tag(PROCESSES).rpartition(", ")[2] or "1", str(context.session.group.size)
    if was == now:
        return
    context.display.say(
        f"this run was trained by {was} processes and goes on with {now}: the same learning, but for the last digits"
        + ("" if context.config.lora.dropout == 0 else " and what dropout draws")
    )
    context.run.tags({PROCESSES: f"{was}, {now}"})


def _log_beginning(context: RunContext) -> None:
    """What the run is, in its folder first."""
    run, inputs, config, folder = context.run, context.inputs, context.config, context.folder
    resolved = yaml.safe_dump(dataclasses.asdict(config), allow_unicode=True, sort_keys=False)
    write_text(folder / run_folder.CONFIG, resolved)
    write_json(folder / run_folder.PARTS, inputs.parts)
    save_spec(folder / run_folder.ADAPTERS, inputs.spec)
    run.artifact(run_folder.CONFIG)
    updates = total_updates(config.train, len(inputs.train.rows))
    settings = {key: value for key, value in flat(config).items() if not key.startswith("sweep.")}
    run.params(settings | {"train.updates": updates, "model.resolved_revision": inputs.base.revision})
    run.tags(
        {"base": inputs.base.path, "base_revision": inputs.base.revision}
        | {"overrides": shlex.join(context.place.typed)}
        | {f"version.{name}": version for name, version in versions().items()}
        | {f"device.{name}": value for name, value in device().items() if value}
        | {f"data.{split.name}.sha256": digest_of(split.path) for split in inputs.splits}  # of the file, for lineage
        | ({PROCESSES: str(context.session.group.size)} if context.session.group.size > 1 else {})
    )
    for split in inputs.splits:
        run.dataset(name=split.name, digest=split.digest, path=split.path, context=split.name)
    context.log.write(Event.STARTED, run=run.run_id, overrides=context.place.overrides, data=describe(inputs.splits))
    for warning in inputs.warnings:
        context.log.write(Event.WARNING, text=warning)
