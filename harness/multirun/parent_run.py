"""A sweep's own run in MLflow, under which its trials stand. Knows nothing of how they are trained."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress

from harness.config.load import flat
from harness.config.objective import Objective
from harness.errors import BusyError, HarnessError
from harness.multirun.context import SweepContext
from harness.sweeping.study import Study
from harness.sweeping.trial import Result, best_results
from harness.tracking.journal import Journal
from harness.tracking.reconcile import close_directly, reconcile
from harness.tracking.run_kind import KIND, RunKind
from harness.tracking.run_state import RunState
from harness.tracking.runs import TrackedRun
from harness.tracking.store import Store, was_deleted
from harness.tracking.views import save_view


class ParentRun:
    """The run as this process sees it. `held`: None where another process has it in hand."""

    def __init__(self, context: SweepContext, study: Study, held: TrackedRun | None) -> None:
        self._context, self._study, self._held = context, study, held
        self.sweep_id = parent_of(study)

    @property
    def deleted(self) -> bool:
        """Whether a person deleted it in MLflow, asked there."""
        return self._context.store.answers() and was_deleted(self._context.store, self.sweep_id)

    @property
    def heard_of_deletion(self) -> bool:
        """The same some seconds later, and only where this process has the run in hand; asked at no cost."""
        return self._held is not None and self._held.deleted

    def leave(self, why: str) -> None:
        """It is left before its end, to be gone on with."""
        if self._held is not None:
            self._held.finish(RunState.KILLED, why)

    def fail(self, why: str) -> None:
        if self._held is not None:
            self._held.finish(RunState.FAILED, why)

    def close(self, results: Sequence[Result]) -> None:
        """Say in MLflow what came of it: through the run's folder, or where another machine has that directly."""
        store, folder = self._context.store, self._context.store.runs / self.sweep_id
        if self._held is not None:
            self._finish(self._held, results)
        elif not folder.exists():
            state, why, metrics = _summary(results, self._context.objective)
            close_directly(store, self.sweep_id, state, why, metrics, self._study.tried)
        elif not is_closed(store, self.sweep_id):
            # where another process has it, that one does it
            with suppress(HarnessError), TrackedRun.resume(store, folder.resolve()) as left:
                self._finish(left, results)

    def _finish(self, run: TrackedRun, results: Sequence[Result]) -> None:
        state, why, metrics = _summary(results, self._context.objective)
        run.metrics(self._study.tried, metrics)
        for best in best_results(results)[:1]:
            run.tags({"best_run": best.run_id or "", "best": self._context.space.varying(best.trial.params)})
        run.finish(state, why)


@contextmanager
def parent_run(context: SweepContext, study: Study) -> Iterator[ParentRun]:
    """The sweep's own run, new or gone on with. Trials whose process died are settled first."""
    store = context.store
    with ExitStack() as stack:
        held = None
        with study.alone():
            if study.parent is None:
                held = stack.enter_context(_begun(context, study))
                study.set_parent(held.run_id)
                _log_settings(context, study, held)
        folder = store.runs / parent_of(study)
        if held is None and folder.exists():
            for _ in reconcile(store, folder.name):
                pass
            with suppress(BusyError):  # another process of this machine has it
                held = stack.enter_context(TrackedRun.resume(store, folder.resolve()))
        yield ParentRun(context, study, held)


def parent_of(study: Study) -> str:
    assert study.parent is not None, "parent_run comes first"
    return study.parent


def is_closed(store: Store, sweep_id: str) -> bool:
    folder = store.runs / sweep_id
    return not folder.exists() or Journal(folder).ended in (RunState.FINISHED, RunState.FAILED)


@contextmanager
def _begun(context: SweepContext, study: Study) -> Iterator[TrackedRun]:
    tags = {KIND: RunKind.SWEEP, "study": study.name}
    name = f"sweep {context.space.said}"
    with TrackedRun.start(context.store, context.config.name, name=name, tags=tags) as run:
        yield run


def _log_settings(context: SweepContext, study: Study, run: TrackedRun) -> None:
    """What is searched and how, and the table of its trials that MLflow's page opens."""
    search, axes = context.config.sweep, context.space.axes
    settings = {f"sweep.{key}": value for key, value in flat(search).items() if value not in (None, [], {})}
    settings |= {"sweep.trials": study.total, "sweep.sampler": study.sampler}
    run.params(settings | {axis.name: axis.said.partition("=")[2] for axis in axes})
    experiment_id = context.store.experiment_id(context.config.name)
    save_view(context.store, experiment_id, run.run_id, [axis.name for axis in axes], context.objective)


def _summary(results: Sequence[Result], objective: Objective) -> tuple[RunState, str | None, dict[str, float]]:
    """State, reason and metrics of a sweep that has come to its end."""
    best = best_results(results)
    failures = [result.failure for result in results if result.failure is not None]
    if not best or best[0].value is None:
        first = f"; the first failure: {failures[0]}" if failures else ""
        return RunState.FAILED, f"none of {len(results)} trials has a value to its end{first}", {}
    metrics = {
        objective.name: objective.shown(best[0].value),
        "sweep/failed_trials": float(len(failures)),
        "sweep/pruned_trials": float(sum(result.pruned for result in results)),
    }
    return RunState.FINISHED, None, metrics
