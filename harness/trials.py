"""A sweep's runs: a parent run in MLflow, and under it one training run for each trial of a study.

The same command goes on with a sweep that was interrupted, and does nothing for one that is done.
"""

import hashlib
import itertools
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.config.axes import Range, Space, check_search, ends
from harness.config.checks import check_values
from harness.config.load import flat
from harness.config.schema import Config
from harness.errors import HarnessError, reason
from harness.material import Bench
from harness.progress import Display, duration
from harness.references import find_adapter
from harness.run import train_run
from harness.supervise import controller_is_gone
from harness.sweeping.study import Combination, Result, Study, Trial, Verdict, combinations
from harness.tracking.journal import Journal
from harness.tracking.overview import BEST, save_view, was_deleted
from harness.tracking.reconcile import reconcile, run_folders
from harness.tracking.registry import OBJECTIVE
from harness.tracking.runs import TrackedRun
from harness.tracking.store import Store, open_writable_store
from harness.tuning.loop import ENGINE
from harness.work import Place, Report

# overrides of one trial -> its configuration
Compose = Callable[[Sequence[str]], Config]


@dataclass(frozen=True)
class SweepResult:
    """`sweep_id` is the parent run's id."""

    sweep_id: str
    results: list[Result]


def run_sweep(space: Space, compose: Compose, display: Display) -> SweepResult:
    """Check what varies, then train the trials that are left, one after the other.

    Raises:
        HarnessError: before anything runs, for a combination that cannot work.
    """
    configs = _Configs(space, compose)
    first = configs.check()
    bench = Bench(open_writable_store(first.tracking), display)
    store = bench.store
    study = _study(first, space, bench)
    done = study.results()
    if study.parent is not None and len(done) >= study.total:
        display.say(_done(study, done))
        return SweepResult(study.parent, done)
    with _parent(first, space, study, store) as parent:
        which = "" if study.total == len(done) or not done else f", {len(done)} of them done"
        display.say(f"sweep {parent.run_id}: {study.total} trials{which}, {space.said}")
        started = time.monotonic()

        def objective(trial: Trial) -> Verdict:
            overrides, varying = words(space, trial.params), _varying(space, trial)
            display.say(f"trial {trial.number + 1} of {study.total}: {varying}")
            finished = _finished_value(store, parent.run_id, trial) if trial.attempt > 1 else None
            if finished is not None:  # its process died before it could tell
                return Verdict(finished)
            place = Place(varying, overrides, parent.run_id, trial.number)
            outcome = train_run(configs[overrides], bench, place, _watched(trial.report)).outcome
            return Verdict(outcome.best.loss, outcome.pruned)

        def tell(results: list[Result]) -> None:
            seconds = (time.monotonic() - started) / (len(results) - len(done))
            display.say(_so_far(space, results, study.total, seconds))

        try:
            study.run(objective, tell)
        except KeyboardInterrupt:
            parent.finish("KILLED", "interrupted from the keyboard")
            display.say("the same command goes on with this sweep")
            raise
        except BaseException as error:
            parent.finish("FAILED", reason(error))
            raise
        results = study.results()
        _finish(parent, results)
    _send_rest(store, parent.run_id, display)
    return SweepResult(parent.run_id, results)


class _Configs:
    """The configurations of trials, each composed once."""

    def __init__(self, space: Space, compose: Compose) -> None:
        self._space, self._compose = space, compose
        self._found: dict[tuple[str, ...], Config] = {}

    def __getitem__(self, overrides: Sequence[str]) -> Config:
        key = tuple(overrides)
        if key not in self._found:
            self._found[key] = _checked(self._compose(overrides))
        return self._found[key]

    def check(self) -> Config:
        """Every combination; of ranges and for a number of trials each value, the ends of a range, once.

        Raises:
            HarnessError: for the first that cannot work.
        """
        space = self._space
        for axis in space.axes:
            if axis.name.startswith(("sweep.", "tracking.")) or axis.name == "name":
                raise HarnessError(f"{axis.name} must be the same for all trials of a sweep; give it one value")
        lowest: Combination = {axis.name: ends(axis)[0] for axis in space.axes}
        try:
            first = self[words(space, lowest)]
        except HarnessError as error:
            parts = [axis for axis in space.axes if isinstance(axis, Range) and not axis.whole]
            hints = [f"; try {axis.name}=int(interval(…))" for axis in parts if str(error).startswith(f"{axis.name} ")]
            raise HarnessError(f"{error}{''.join(hints)}") from error
        check_search(space, first.sweep)
        if first.sweep.trials is None:
            tried = combinations(space.lists)
        else:
            tried = iter([lowest | {axis.name: value} for axis in space.axes for value in ends(axis)])
        for config in (self[words(space, combination)] for combination in tried):
            if (config.name, config.tracking) != (first.name, first.tracking):
                raise HarnessError(
                    "name and tracking.* must be the same for all trials of a sweep; take them out of it"
                )
        return first


def words(space: Space, combination: Combination) -> list[str]:
    """The command-line overrides of one combination."""
    return [*space.fixed, *(f"{axis.name}={axis.word(combination[axis.name])}" for axis in space.axes)]


def short_names(names: Sequence[str]) -> dict[str, str]:
    """lora.rank is rank, as long as no other name ends so."""
    ends = [name.rsplit(".", 1)[-1] for name in names]
    return {name: end if ends.count(end) == 1 else name for name, end in zip(names, ends, strict=True)}


def _watched(report: Report) -> Report:
    """A trial goes no further than its next validation when nobody watches over it any more."""

    def watched(step: int, loss: float) -> bool:
        if controller_is_gone():
            raise KeyboardInterrupt
        return report(step, loss)

    return watched


def _varying(space: Space, trial: Trial) -> str:
    """What tells a trial from the others."""
    short = short_names([axis.name for axis in space.axes])
    return " ".join(f"{short[axis.name]}={axis.word(trial.params[axis.name])}" for axis in space.axes)


def _so_far(space: Space, results: Sequence[Result], total: int, trial_seconds: float) -> str:
    said = [f"{len(results)} of {total} trials done"]
    whole = [(result.value, result.trial) for result in results if result.value is not None and not result.pruned]
    if whole:
        value, best = min(whole, key=lambda each: each[0])
        said.append(f"best {OBJECTIVE} {value:.4f} by {_varying(space, best)}")
    if len(results) < total:
        said.append(f"about {duration(trial_seconds * (total - len(results)))} left")
    return ", ".join(said)


def _checked(config: Config) -> Config:
    check_values(config)
    if config.train.resume is not False:
        raise HarnessError("train.resume is for single runs; the same command goes on with a sweep")
    return config


def _study(first: Config, space: Space, bench: Bench) -> Study:
    """The study of this command, found again by all that determines its values.

    A new one if its run was deleted in MLflow, or if all its trials failed.
    """
    store, beginning = bench.store, _beginning(first, bench)
    for again in itertools.count():
        study = Study(_study_name(first, space, [again, *beginning]), store.studies, space, first.sweep)
        results = study.results()
        failed = len(results) >= study.total and all(result.failure is not None for result in results)
        if study.parent is None or not (failed or was_deleted(store, study.parent)):
            return study
    raise AssertionError("counting has no end")


def _beginning(first: Config, bench: Bench) -> list[str]:
    """What the names of the base and of the adapter to start from lead to now."""
    init = first.train.init_adapter
    start = None if init is None else find_adapter(init, lambda: bench.store).weights
    revision = bench.base(first.model).revision
    return [revision] if start is None else [revision, hashlib.sha256(start.read_bytes()).hexdigest()]


def _study_name(first: Config, space: Space, more: list[object]) -> str:
    varied = {axis.name for axis in space.axes}
    aside = {"sweep.trials", "sweep.retries", "sweep.workers"}  # more trials go on with the same study
    fixed = {key: value for key, value in flat(first).items() if key not in varied | aside}
    data = Path(first.data.path).expanduser()
    files = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(data.glob("*.jsonl"))}
    parts = [ENGINE, *more, [axis.said for axis in space.axes], fixed, files]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


@contextmanager
def _parent(first: Config, space: Space, study: Study, store: Store) -> Iterator[TrackedRun]:
    """The sweep's own run, new or gone on with."""
    folder = None if study.parent is None else store.runs / study.parent
    if folder is not None and folder.exists():
        for _ in reconcile(store, study.parent):  # trials whose process died
            pass
        with TrackedRun.go_on(store, folder.resolve()) as parent:
            yield parent
        return
    tags = {"kind": "sweep"}
    with TrackedRun.start(store, first.name, name=f"sweep {space.said}", tags=tags) as parent:
        study.set_parent(parent.run_id)
        parent.params({axis.name: axis.said.partition("=")[2] for axis in space.axes})
        parent.params({"sweep.trials": study.total, "sweep.sampler": study.sampler, "sweep.pruner": first.sweep.pruner})
        save_view(store, store.experiment_id(first.name), parent.run_id, [axis.name for axis in space.axes])
        yield parent


def _finished_value(store: Store, sweep_id: str, trial: Trial) -> float | None:
    """The value of a trial whose run has finished, if it has."""
    for folder in run_folders(store):
        begun, report = Journal(folder).begun, folder / "report.json"
        if begun is None or begun["parent"] != sweep_id or begun["tags"].get("trial") != str(trial.number):
            continue
        if Journal(folder).ended == "FINISHED" and report.exists():
            return float(json.loads(report.read_text("utf-8"))["totals"][BEST])
    return None


def _done(study: Study, results: Sequence[Result]) -> str:
    failed = sum(result.failure is not None for result in results)
    but = f", {failed} of them failed" if failed else ""
    return (
        f"sweep {study.parent} is done: {len(results)} trials{but}; "
        "for more set a higher sweep.trials, for another one a new name=… or train.seed"
    )


def _finish(parent: TrackedRun, results: Sequence[Result]) -> None:
    values = [result.value for result in results if result.value is not None and not result.pruned]
    failures = [result.failure for result in results if result.failure is not None]
    if not values:
        first = f"; the first failure: {failures[0]}" if failures else ""
        parent.finish("FAILED", f"none of {len(results)} trials has a value to its end{first}")
        return
    pruned = float(sum(result.pruned for result in results))
    told = {BEST: min(values), "sweep/failed_trials": float(len(failures)), "sweep/pruned_trials": pruned}
    parent.metrics(len(results), told)
    parent.finish("FINISHED")


def _send_rest(store: Store, sweep_id: str, display: Display) -> None:
    """What trials could not tell MLflow while it did not answer, if it answers now."""
    for settled in reconcile(store, sweep_id) if store.answers() else ():
        if settled.left is None:
            display.say(f"{settled.name}: {settled.sent} entries that waited have reached MLflow")
