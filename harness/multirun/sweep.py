"""A sweep: one training run for each trial of a study, under a run of its own in MLflow.

The same command goes on with a sweep that was interrupted, joins one that others work on, and does nothing for one
that is done. Here is the order of things; each of them has a file beside this one.
"""

import time
from dataclasses import dataclass

from harness.config.axes import Space
from harness.console.interrupt import told
from harness.console.progress import Display
from harness.errors import DamagedError, DeletedError, reason
from harness.multirun.context import Connect, SweepContext, Worker, sweep_context
from harness.multirun.deleted import WAS_DELETED, deleted_error
from harness.multirun.find_study import find_study
from harness.multirun.limits import Budget, Clock
from harness.multirun.parent_run import ParentRun, is_closed, parent_of, parent_run
from harness.multirun.progress_lines import beginning_lines, done_line, go_on_line, so_far, tell_results
from harness.multirun.repeats import find_repeats, run_repeats
from harness.multirun.retention import drop_losers
from harness.multirun.stagnation import Stagnation
from harness.multirun.trial_configs import Compose, TrialConfigs
from harness.multirun.trial_run import try_trial
from harness.multirun.warm_start import warm_start
from harness.run.session import open_session
from harness.sweeping.states import STOPPED
from harness.sweeping.study import Study
from harness.sweeping.trial import Result, Trial, TrialEnd
from harness.tracking.reconcile import reconcile
from harness.tracking.store import Store


@dataclass(frozen=True)
class SweepResult:
    """`sweep_id` is the parent run's id."""

    sweep_id: str
    results: list[Result]


def run_sweep(
    space: Space,
    compose: Compose,
    display: Display,
    worker: Worker | None = None,
    *,
    clock: Clock = time.monotonic,
    connect: Connect = open_session,
) -> SweepResult:
    """Check what varies, then train the trials that are left, one after the other; limits of time go by `clock`.

    Raises:
        HarnessError: before anything runs, for a combination that cannot work.
    """
    context = sweep_context(TrialConfigs(space, compose), display, worker or Worker(), clock=clock, connect=connect)
    study = find_study(context)
    warm_start(context, study)
    _take_up(context, study)
    if _is_done(context, study):
        display.say(done_line(study, study.results()))
        tell_results(context, study, study.results())
        return SweepResult(parent_of(study), study.results())
    with parent_run(context, study) as parent:
        for line in beginning_lines(context, study):
            display.say(line)
        left_early = _work_settled(context, study, parent)
        results = study.results()
        if left_early is None:
            parent.close(results)
        else:
            display.say(f"{left_early}: {len(results)} of {study.total} trials done")
            display.say(go_on_line(context))
            parent.leave(left_early)
    _send_rest(context.store, parent.sweep_id, display)
    return SweepResult(parent.sweep_id, results)


def _take_up(context: SweepContext, study: Study) -> None:
    """What the first process of a new command does: the study goes on, by that command."""
    if context.worker.is_new:
        study.unstop()
        study.unsettle()
        study.set_command(context.worker.command)


def _is_done(context: SweepContext, study: Study) -> bool:
    """Whether nothing is left of it, and nothing asked for again."""
    if context.worker.only is not None or study.parent is None or not is_closed(context.store, study.parent):
        return False
    if len(study.results()) < study.total:
        return False
    repeats = find_repeats(context, study)
    return repeats is None or repeats.are_done


def _work_settled(context: SweepContext, study: Study, parent: ParentRun) -> str | None:
    """`_work`, and if it does not come to its end the sweep's run says why."""
    try:
        left_early = _work(context, study, parent)
        if left_early is not None and parent.deleted:
            raise deleted_error(study)
        return left_early
    except KeyboardInterrupt as error:
        if parent.deleted:
            parent.leave(WAS_DELETED)
            raise deleted_error(study) from error
        if study.stopped:
            return STOPPED
        parent.leave(told(error).why)
        if context.worker.is_first:
            context.display.say(go_on_line(context))
        raise
    except DeletedError:
        parent.leave(WAS_DELETED)
        raise
    except DamagedError as error:  # once the study is repaired, the same command goes on
        parent.leave(reason(error))
        raise
    except BaseException as error:
        parent.fail(reason(error))
        raise


def _work(context: SweepContext, study: Study, parent: ParentRun) -> str | None:
    """Trials, then repeats; why it ended early, if it did."""
    search = context.config.sweep
    budget = Budget(search, context.store, len(study.results()), context.clock)
    stagnation = Stagnation(context, study)

    def may_begin() -> str | None:
        if parent.deleted:
            raise deleted_error(study)
        stagnation.settle_if_reached()
        return budget.spent(study.results())

    def objective(trial: Trial) -> TrialEnd:
        return try_trial(context, study, trial, parent)

    def on_end(results: list[Result]) -> None:
        context.display.say(so_far(context, study, results, budget.trial_seconds(results)))
        tell_results(context, study, results)
        if search.keep != "all":
            with study.alone():
                drop_losers(context.store, results, search.keep)

    tell_results(context, study, study.results())
    if context.worker.only is not None:
        study.run_again(context.worker.only.place, objective, on_end)
        whole = len(study.results()) == study.total
        return None if whole else f"only trial {context.worker.only.place} was asked for"
    left_early = study.run(objective, on_end, may_begin)
    if left_early is not None:
        return left_early
    repeats = find_repeats(context, study)
    return None if repeats is None else run_repeats(context, repeats, parent, may_begin)


def _send_rest(store: Store, sweep_id: str, display: Display) -> None:
    """What trials could not tell MLflow while it did not answer, if it answers now."""
    for settled in reconcile(store, sweep_id) if store.answers() else ():
        if settled.left is None:
            display.say(f"{settled.name}: {settled.sent} entries that waited have reached MLflow")
