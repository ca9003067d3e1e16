"""What a trial need not train: another run did, as far as it goes.

Where nothing depends on how long a run is to be, one of more updates holds every shorter one in its checkpoints, and
goes on where a shorter one ended. A run of the same identity holds all of it.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from harness.config.checks import total_updates
from harness.config.objective import VALID_LOSS
from harness.config.schema import Config, TrainConfig
from harness.errors import HarnessError
from harness.models.adapter_files import checkpoint_name, checkpoint_step
from harness.run.identity import Parts, identity_of, renewed
from harness.run.inputs import Inputs
from harness.run.log import Event, EventLog
from harness.run.resume import read_parts
from harness.tracking import run_folder
from harness.tracking.entry_kind import EntryKind
from harness.tracking.journal import Journal
from harness.tracking.reconcile import run_folders
from harness.tracking.runs import TrackedRun
from harness.tracking.store import Store, was_deleted
from harness.tuning.evaluate import Score
from harness.tuning.loop import Outcome
from harness.tuning.state import Course, load_state

_CADENCE = ("steps_per_eval", "save_every", "patience")


@dataclass(frozen=True, kw_only=True)
class Source:
    """`updates`: how many of another run's are taken over; `whole`: nothing is left to train."""

    run_id: str
    folder: Path
    updates: int
    whole: bool

    @property
    def tags(self) -> dict[str, str]:
        """How the run that takes it over came about."""
        return {"taken_from": self.run_id, "taken_updates": str(self.updates)}

    @property
    def said(self) -> str:
        if self.whole:
            return f"nothing to train: its {self.updates} updates are those of run {self.run_id}"
        return f"going on from update {self.updates} of run {self.run_id}"


def length_is_free(train: TrainConfig) -> bool:
    """Whether an update is the same however many follow."""
    warmup_is_share = 0 < train.warmup < 1
    return train.iters is not None and train.lr_schedule == "constant" and not warmup_is_share


def find_source(
    config: Config, inputs: Inputs, store: Store, *, sweep: str, anywhere: bool, warn: Callable[[str], None]
) -> Source | None:
    """The ended run of this sweep, or of the whole store, that spares the most updates.

    One whose files are damaged is left out, and `warn` is told.
    """
    updates = total_updates(config.train, len(inputs.train.rows))
    wanted = _key(inputs.parts, config.train)
    found: list[Source] = []
    for folder in run_folders(store):
        written = read_parts(folder)
        if written is None or _key(renewed(written, inputs.base), config.train) != wanted:
            continue
        journal = Journal(folder)
        if written.get("base") != inputs.base.revision and (journal.begun is None or journal.begun["parent"] != sweep):
            continue  # of the version before, which knew a base by a part of its bytes: its own sweep alone goes on
        if journal.damage:
            warn(f"nothing is taken over from run {journal.run_id}: {journal.damage[0]}")
            continue
        if journal.begun is None or journal.ended is None or not (anywhere or journal.begun["parent"] == sweep):
            continue
        if _valid_digest(journal) != inputs.valid.digest or not _scored_alike(journal, config.train):
            continue
        if was_deleted(store, journal.run_id):
            continue
        try:
            source = _source(folder, journal.run_id, updates)
        except HarnessError as error:
            warn(f"nothing is taken over from run {journal.run_id}: {error}")
            continue
        if source is not None:
            found.append(source)
    return max(found, key=lambda source: source.updates, default=None)


def _key(parts: Parts, train: TrainConfig) -> str:
    free = length_is_free(train)
    return identity_of({name: value for name, value in parts.items() if not (free and name == "train.iters")})


def _scored_alike(journal: Journal, train: TrainConfig) -> bool:
    """Whether it was validated at the same updates: the best of more validations is no fair comparison."""
    told = journal.params()
    return all(told.get(f"train.{name}") == str(getattr(train, name)) for name in _CADENCE)


def _valid_digest(journal: Journal) -> str | None:
    told = (
        entry["digest"]
        for entry in journal.entries
        if entry["kind"] == EntryKind.DATASET and entry["context"] == "valid"
    )
    return next(told, None)


def _source(folder: Path, run_id: str, updates: int) -> Source | None:
    if updates in _scores(folder) and (folder / run_folder.ADAPTERS / checkpoint_name(updates)).exists():
        best = min((score for step, score in _scores(folder).items() if 0 < step <= updates), key=lambda s: s.loss)
        if (folder / run_folder.ADAPTERS / checkpoint_name(best.step)).exists():
            return Source(run_id=run_id, folder=folder, updates=updates, whole=True)
    if (folder / run_folder.STATE).exists():
        step = load_state(folder / run_folder.STATE).course.step
        if 0 < step < updates:
            return Source(run_id=run_id, folder=folder, updates=step, whole=False)
    return None


def take_over(source: Source, run: TrackedRun, log: EventLog) -> Course:
    """Put what the other run did into this one's folder, bytes shared on disk, and tell MLflow; how far that comes."""
    for event in EventLog(source.folder / run_folder.LOG).read():
        if event["event"] in (Event.TRAINED, Event.SCORED) and event["step"] <= source.updates:
            log.write(**event)
    (run.folder / run_folder.ADAPTERS).mkdir(exist_ok=True)
    for path in sorted((source.folder / run_folder.ADAPTERS).glob("*_adapters.safetensors")):
        step = checkpoint_step(path)
        if step is not None and step <= source.updates:
            _link(path, run.folder / run_folder.ADAPTERS / path.name)
    if (source.folder / run_folder.VALID_ROWS).exists():  # what lies beyond is cut off when the run goes on
        _link(source.folder / run_folder.VALID_ROWS, run.folder / run_folder.VALID_ROWS)
    for entry in Journal(source.folder).entries:
        courses = ("train/loss", VALID_LOSS.checkpoint)
        if (
            entry["kind"] == EntryKind.METRICS
            and entry["step"] <= source.updates
            and any(k in entry["values"] for k in courses)
        ):
            run.metrics(entry["step"], entry["values"])
    if not source.whole:
        _link(source.folder / run_folder.STATE, run.folder / run_folder.STATE)
        return load_state(run.folder / run_folder.STATE).course
    return _course(source)


def _course(source: Source) -> Course:
    scores = {step: score for step, score in _scores(source.folder).items() if step <= source.updates}
    best = min((score for step, score in scores.items() if step), key=lambda score: score.loss)
    stale = sum(step > best.step for step in scores)
    events = EventLog(source.folder / run_folder.LOG).read()
    # by step: what was done again after an interruption counts once
    windows = {e["step"]: e["seconds"] for e in events if e["event"] == Event.TRAINED and e["step"] <= source.updates}
    seconds = sum(windows.values())
    return Course(
        step=source.updates,
        start=scores[0],
        last=scores[source.updates],
        best=best,
        stale=stale,
        train_seconds=seconds,
        window_loss=0.0,
        window_targets=0,
        window_seconds=0.0,
    )


def taken_outcome(course: Course) -> Outcome:
    """The outcome of a run that had nothing left to train."""
    return Outcome.of(course, peak_gb=0.0)


def _scores(folder: Path) -> dict[int, Score]:
    events = EventLog(folder / run_folder.LOG).read()
    names = ("step", "loss", "seconds", "position_seconds")
    return {e["step"]: Score(**{name: e[name] for name in names}) for e in events if e["event"] == Event.SCORED}


def _link(source: Path, target: Path) -> None:
    target.unlink(missing_ok=True)
    os.link(source.resolve(), target)
