"""A sweep's runs: a parent run in MLflow, and under it one training run for each trial of a study.

The same command goes on with a sweep that was interrupted, joins one that others work on, and does nothing for one
that is done.
"""

import itertools
import json
import math
import shlex
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace

from harness.config.axes import Space, as_combination
from harness.config.checks import total_updates
from harness.config.load import flat
from harness.config.objective import WIN_RATE, objective
from harness.config.schema import Config
from harness.console.progress import Display, duration
from harness.data.dataset import fixed_subset
from harness.errors import BusyError, HarnessError, reason
from harness.multirun.limits import Budget, TrialLimit, drop_losers
from harness.multirun.live_table import Row, Teller
from harness.multirun.repeats import REPEATED, Repeats
from harness.multirun.study_key import beginning, study_name
from harness.multirun.trial_configs import Compose, Configurations
from harness.multirun.worth import worth
from harness.run.context import RunHooks, RunPlace
from harness.run.pipeline import train_run
from harness.run.reuse import length_is_free
from harness.run.session import Session, open_session
from harness.sweeping.death import Siblings
from harness.sweeping.storage import open_studies
from harness.sweeping.study import Pace, Result, Study, Trial, Verdict, best_results
from harness.tracking import run_folder
from harness.tracking.journal import Journal
from harness.tracking.queries import scored_runs
from harness.tracking.reconcile import close_directly, reconcile
from harness.tracking.runs import TrackedRun
from harness.tracking.store import Store, was_deleted
from harness.tracking.views import save_view


@dataclass(frozen=True)
class SweepResult:
    """`sweep_id` is the parent run's id."""

    sweep_id: str
    results: list[Result]


@dataclass(frozen=True)
class Worker:
    """Which process of a sweep this is. `command`: the words that make the same sweep again."""

    siblings: Siblings = field(default_factory=lambda: Siblings({}))
    command: list[str] = field(default_factory=list)
    teller: Teller = field(default_factory=Teller)

    @property
    def typed(self) -> str:
        return shlex.join(["python", "-m", "harness.train", *self.command])


def run_sweep(space: Space, compose: Compose, display: Display, worker: Worker | None = None) -> SweepResult:
    """Check what varies, then train the trials that are left, one after the other.

    Raises:
        HarnessError: before anything runs, for a combination that cannot work.
    """
    configs = Configurations(space, compose)
    first = configs.check(display)
    session = open_session(first.tracking, display)
    sweep = _Sweep(configs, first, session, worker or Worker())
    return sweep.run()


class _Sweep:
    """One process's part in a sweep."""

    def __init__(self, configs: Configurations, first: Config, session: Session, worker: Worker) -> None:
        self._configs, self._first, self._session, self._worker = configs, first, session, worker
        self._space, self._store, self._display = configs.space, session.store, session.display
        self._studies = open_studies(first.sweep.storage, self._store.studies)
        self._beginning = beginning(first, session)
        rows = len(session.split(first, "train").rows)
        each, updates = math.gcd(first.train.steps_per_eval, first.train.save_every), total_updates(first.train, rows)
        self._pace = Pace(min(each, max(updates, 1)), updates)
        self._study = self._find_study()

    def run(self) -> SweepResult:
        study, display = self._study, self._display
        if self._worker.siblings.index == 0 and not self._worker.siblings.deaths:  # the first of a new command
            study.unstop()
            study.set_command(self._worker.command)
        done = study.results()
        if study.parent is not None and self._is_closed(study.parent) and self._is_done():
            display.say(_done(study, done))
            self._tell(done)
            return SweepResult(study.parent, done)
        with self._parent() as parent:
            which = "" if study.total == len(done) or not done else f", {len(done)} of them done"
            sweep_id = self._sweep_id
            display.say(f"sweep {sweep_id}: {study.total} trials{which}, {self._space.said}")
            self._say_of_lengths()
            try:
                left_early = self._work()
            except KeyboardInterrupt:
                if parent is not None:
                    why = "stopped by harness.sweep" if study.stopped else "interrupted from the keyboard"
                    parent.finish("KILLED", why)
                if not study.stopped:
                    if self._worker.siblings.index == 0:
                        display.say(f"go on with the same command: {self._worker.typed}")
                    raise
                left_early = "stopped by harness.sweep"
            except BaseException as error:
                if parent is not None:
                    parent.finish("FAILED", reason(error))
                raise
            results = study.results()
            if left_early is None:
                self._close(parent, results)
            else:
                display.say(f"{left_early}: {len(results)} of {study.total} trials done")
                display.say(f"go on with the same command: {self._worker.typed}")
                if parent is not None:
                    parent.finish("KILLED", left_early)
        _send_rest(self._store, sweep_id, display)
        return SweepResult(sweep_id, results)

    def _say_of_lengths(self) -> None:
        varied = {axis.name for axis in self._space.axes}
        if "train.iters" in varied and not length_is_free(self._first.train):
            self._display.say(
                "each of train.iters is trained by itself, for the schedule depends on it; with "
                "train.lr_schedule=constant and train.warmup=0 the longest would hold the others"
            )

    @property
    def _sweep_id(self) -> str:
        assert self._study.parent is not None, "_parent comes first"
        return self._study.parent

    def _work(self) -> str | None:
        """Trials, then repeats; why it ended early, if it did."""
        study, display, search = self._study, self._display, self._first.sweep
        budget = Budget(search, self._store, len(study.results()))

        def tell(results: list[Result]) -> None:
            display.say(self._so_far(results, budget))
            self._tell(results)
            if search.keep != "all":
                with study.alone():
                    drop_losers(self._store, results, search.keep)

        self._tell(study.results())
        if not (left_early := study.run(self._objective, tell, lambda: budget.spent(study.results()))):
            left_early = self._repeat(budget)
        return left_early

    def _objective(self, trial: Trial) -> Verdict:
        study, name = self._study, self._space.varying(trial.params)
        self._display.say(f"trial {trial.place} of {study.total}: {name}")
        value = self._value(trial)
        if value is not None:  # its process died before it could tell
            return Verdict(value)
        overrides = self._space.words(trial.params)
        place = RunPlace(
            name=name,
            overrides=overrides,
            sweep=self._sweep_id,
            trial=trial.number,
            left=study.total - len(study.results()),
            at_once=self._worker.siblings.count,
            keep_state=self._keeps_states,
        )
        return self._train(trial, place, self._configs[overrides])

    @property
    def _keeps_states(self) -> bool:
        """Whether what has finished may be gone on with by another trial, or after its checkpoints were dropped."""
        varied = {axis.name for axis in self._space.axes}
        return "train.iters" in varied or self._first.sweep.keep != "all"

    def _train(self, trial: Trial, place: RunPlace, config: Config) -> Verdict:
        row: Row = {"place": trial.place, "name": place.name, "state": "running"}

        def tell(step: int, loss: float | None) -> None:
            if place.repeat is None:
                self._worker.teller.tell(self._study.total, [row | {"step": step, "value": loss}])

        tell(0, None)

        # Wilcoxon's test pairs what two trials were judged on the same themes
        themes = config.sweep.metric == WIN_RATE.name and config.sweep.pruner == "wilcoxon"

        def report(step: int, loss: float) -> bool:
            tell(step, loss)
            return not themes and trial.report(step, loss)

        def judged(number: int, lost: float) -> bool:
            return themes and trial.report(number, lost)

        def leave() -> bool:
            limit.check()
            return trial.stopped() or self._worker.siblings.controller_is_gone

        with TrialLimit(self._first.sweep.trial_minutes, hard=self._worker.siblings.controller is not None) as limit:
            hooks = RunHooks(began=trial.run, judged=judged, report=report, leave=leave)
            run = train_run(config, self._session, place, hooks)
        if run.outcome.pruned:
            return Verdict(run.outcome.best.loss, pruned=True)
        return Verdict(worth(config, run.totals))

    def _value(self, trial: Trial) -> float | None:
        """The value of a trial whose run has finished, if it has."""
        folder = None if trial.begun_as is None else self._store.runs / trial.begun_as
        if folder is None or not (folder / run_folder.REPORT).exists() or Journal(folder).ended != "FINISHED":
            return None
        return worth(self._first, json.loads((folder / run_folder.REPORT).read_text("utf-8"))["totals"])

    def _is_done(self) -> bool:
        if len(self._study.results()) < self._study.total:
            return False
        repeats = self._repeats()
        return repeats is None or len(repeats.study.results()) >= repeats.study.total

    def _repeats(self) -> "_Repeated | None":
        """What is to be trained again, once all trials are done."""
        best = best_results(self._study.results())[:REPEATED]
        if not self._first.sweep.repeats or not best:
            return None
        repeats = Repeats(self._first, best)
        return _Repeated(repeats, self._open(f"{self._study.name}-{repeats.name}", repeats.space))

    def _repeat(self, budget: Budget) -> str | None:
        """The best few again with other seeds: how much of a difference is noise."""
        found, display = self._repeats(), self._display
        if found is None:
            return None
        repeats, study = found.repeats, found.study

        def objective(trial: Trial) -> Verdict:
            of = next(result.trial for result in repeats.best if result.trial.number == trial.params["trial"])
            seed, number = trial.params["seed"], int(str(trial.params["seed"])) - self._first.train.seed
            name = f"{self._space.varying(of.params)} seed={seed}"
            display.say(f"repeat {trial.place} of {study.total}: {name}")
            value = self._value(trial)
            if value is not None:
                return Verdict(value)
            overrides = [*self._space.words(of.params), f"train.seed={seed}"]
            place = RunPlace(name=name, overrides=overrides, sweep=self._sweep_id, trial=of.number, repeat=number)
            return self._train(trial, place, self._configs[overrides])

        left_early = study.run(objective, may_begin=lambda: budget.spent(self._study.results()))
        for line in repeats.said(study.results(), self._space) if self._worker.siblings.index == 0 else ():
            display.say(line)
        return left_early

    def _open(self, name: str, space: Space) -> Study:
        search = self._first.sweep
        if space is not self._space:  # the repeats: all of them, to their end
            search = replace(search, trials=None, sampler="grid", pruner="none", pruner_args={})
        return Study(name, self._studies, space, search, self._pace, siblings=self._worker.siblings)

    def _find_study(self) -> Study:
        """The study of this command, found again by all that determines its values.

        A new one if its run was deleted in MLflow, or if all its trials failed.
        """
        for again in itertools.count():
            study = self._open(study_name(self._first, self._space, [again, *self._beginning]), self._space)
            results = study.results()
            failed = len(results) >= study.total and all(result.failure is not None for result in results)
            if study.parent is None or not (failed or was_deleted(self._store, study.parent)):
                break
        self._warm_start(study)
        return study

    def _warm_start(self, study: Study) -> None:
        """Tell the sampler what earlier runs on the same base and data scored."""
        source = self._first.sweep.warm_start
        if source is None:
            return
        if self._first.sweep.metric == WIN_RATE.name:
            raise HarnessError("sweep.warm_start does not go with judge/win_rate: earlier runs may be judged otherwise")
        if self._first.sweep.trials is None:
            raise HarnessError("sweep.warm_start is for a sampler that learns; say how many trials, as sweep.trials=20")
        with study.alone():
            if study.parent is not None or study.known:
                return
            digest = fixed_subset(self._session.split(self._first, "valid"), self._first.train.valid_rows).digest
            taken = 0
            metric = self._first.sweep.metric
            for run in scored_runs(self._store, source, metric):
                params = as_combination(self._space, run.params)
                if params is None or run.base_revision != self._beginning[0] or run.valid_digest != digest:
                    continue
                study.add_known(params, objective(metric).minimized({metric: run.value}), run.run_id)
                taken += 1
        self._display.say(f"{taken} earlier runs of {source} fit this search: the sampler begins with what they scored")

    @contextmanager
    def _parent(self) -> Iterator[TrackedRun | None]:
        """The sweep's own run, new or gone on with; None where another process has it in hand."""
        study, store, first = self._study, self._store, self._first
        with ExitStack() as stack:
            parent = None
            with study.alone():
                if study.parent is None:
                    tags = {"kind": "sweep", "study": study.name}
                    name = f"sweep {self._space.said}"
                    parent = stack.enter_context(TrackedRun.start(store, first.name, name=name, tags=tags))
                    study.set_parent(parent.run_id)
                    self._say_settings(parent)
            folder = store.runs / self._sweep_id
            if parent is None and folder.exists():
                for _ in reconcile(store, self._sweep_id):  # trials whose process died
                    pass
                try:
                    parent = stack.enter_context(TrackedRun.resume(store, folder.resolve()))
                except BusyError:  # another process of this machine has it
                    parent = None
            yield parent

    def _say_settings(self, parent: TrackedRun) -> None:
        search = self._first.sweep
        settings = {f"sweep.{key}": value for key, value in flat(search).items() if value not in (None, [], {})}
        settings |= {"sweep.trials": self._study.total, "sweep.sampler": self._study.sampler}
        parent.params(settings | {axis.name: axis.said.partition("=")[2] for axis in self._space.axes})
        view_id = self._store.experiment_id(self._first.name)
        save_view(
            self._store,
            view_id,
            parent.run_id,
            [axis.name for axis in self._space.axes],
            objective(self._first.sweep.metric),
        )

    def _is_closed(self, parent: str) -> bool:
        folder = self._store.runs / parent
        return not folder.exists() or Journal(folder).ended in ("FINISHED", "FAILED")

    def _close(self, parent: TrackedRun | None, results: Sequence[Result]) -> None:
        """Say in MLflow what came of it: through the run's folder, or where another machine has that directly."""
        folder = self._store.runs / self._sweep_id
        if parent is not None:
            self._finish(parent, results)
        elif not folder.exists():
            close_directly(self._store, self._sweep_id, *_summary(results, self._first.sweep.metric), len(results))
        elif not self._is_closed(self._sweep_id):
            # where another process has it, that one does it
            with suppress(HarnessError), TrackedRun.resume(self._store, folder.resolve()) as left:
                self._finish(left, results)

    def _finish(self, parent: TrackedRun, results: Sequence[Result]) -> None:
        status, why, metrics = _summary(results, self._first.sweep.metric)
        parent.metrics(len(results), metrics)
        for best in best_results(results)[:1]:
            parent.tags({"best_run": best.run_id or "", "best": self._space.varying(best.trial.params)})
        parent.finish(status, why)

    def _so_far(self, results: Sequence[Result], budget: Budget) -> str:
        total = self._study.total
        said = [f"{len(results)} of {total} trials done"]
        best = best_results(results)
        if best:
            what = objective(self._first.sweep.metric).label
            said.append(f"best {what} {best[0].value:.4f} by {self._space.varying(best[0].trial.params)}")
        if len(results) < total:
            said.append(f"about {duration(budget.trial_seconds(results) * (total - len(results)))} left")
        return ", ".join(said)

    def _tell(self, results: Sequence[Result]) -> None:
        rows: list[Row] = []
        for result in results:
            state = "failed" if result.failure is not None else "pruned" if result.pruned else "done"
            row: Row = {"place": result.trial.place, "name": self._space.varying(result.trial.params), "state": state}
            rows.append(row | {"value": result.value, "seconds": result.seconds})
        self._worker.teller.tell(self._study.total, rows)


@dataclass(frozen=True)
class _Repeated:
    repeats: Repeats
    study: Study


def _done(study: Study, results: Sequence[Result]) -> str:
    failed = sum(result.failure is not None for result in results)
    but = f", {failed} of them failed" if failed else ""
    return (
        f"sweep {study.parent} is done: {len(results)} trials{but}; "
        "for more set a higher sweep.trials, for another one a new name=… or train.seed"
    )


def _summary(results: Sequence[Result], metric: str) -> tuple[str, str | None, dict[str, float]]:
    """Status, reason and metrics of a sweep that has come to its end."""
    best = best_results(results)
    failures = [result.failure for result in results if result.failure is not None]
    if not best or best[0].value is None:
        first = f"; the first failure: {failures[0]}" if failures else ""
        return "FAILED", f"none of {len(results)} trials has a value to its end{first}", {}
    pruned = float(sum(result.pruned for result in results))
    metrics = {
        metric: objective(metric).shown(best[0].value),
        "sweep/failed_trials": float(len(failures)),
        "sweep/pruned_trials": pruned,
    }
    return "FINISHED", None, metrics


def _send_rest(store: Store, sweep_id: str, display: Display) -> None:
    """What trials could not tell MLflow while it did not answer, if it answers now."""
    for settled in reconcile(store, sweep_id) if store.answers() else ():
        if settled.left is None:
            display.say(f"{settled.name}: {settled.sent} entries that waited have reached MLflow")
