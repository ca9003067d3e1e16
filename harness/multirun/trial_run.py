"""One trial as a training run, and what the run comes to for the search.

Knows nothing of which trial is the next, and of what becomes of the sweep.
"""

import json
from collections.abc import Callable, Mapping, Sequence

from harness.config.conditions import read_requirement
from harness.config.objective import WIN_RATE, objective
from harness.config.schema import Config
from harness.console.interrupt import Interrupted
from harness.errors import DeletedError, HarnessError
from harness.multirun.context import SweepContext
from harness.multirun.deleted import WAS_DELETED
from harness.multirun.limits import TrialLimit
from harness.multirun.parent_run import ParentRun
from harness.multirun.progress_lines import tell_trial
from harness.run.context import RunHooks, RunPlace
from harness.run.pipeline import train_run
from harness.sweeping.states import STOPPED
from harness.sweeping.study import Study
from harness.sweeping.trial import RequirementError, Trial, TrialEnd
from harness.tracking import run_folder
from harness.tracking.journal import Journal
from harness.tracking.run_state import RunState
from harness.tracking.store import Store

# update and loss of each validation, from update 0 without
Told = Callable[[int, float | None], None]


def try_trial(context: SweepContext, study: Study, trial: Trial, parent: ParentRun) -> TrialEnd:
    """The search's own objective: one combination trained, or what a process that died left of it."""
    name = context.space.varying(trial.params)
    context.display.say(f"trial {trial.place} of {study.total}: {name}")
    overrides = context.space.words(trial.params)
    place = RunPlace(
        name=name,
        overrides=overrides,
        sweep=parent.sweep_id,
        trial=trial.number,
        left=study.total - len(study.results()),
        at_once=context.worker.siblings.count,
        keep_state=_keeps_states(context),
    )

    def told(step: int, loss: float | None) -> None:
        tell_trial(context, study, trial, step=step, loss=loss)

    return train_trial(context, trial, parent, place, told)


def train_trial(
    context: SweepContext, trial: Trial, parent: ParentRun, place: RunPlace, told: Told = lambda step, loss: None
) -> TrialEnd:
    """Train it, if it has not finished already.

    Raises:
        Interrupted: when it is left, to be gone on with.
        HarnessError: when it has no value; a trial that raises counts as failed.
    """
    value = _finished_value(context.store, context.config, trial.begun_as)
    if value is not None:  # its process died before it could tell
        return TrialEnd(value)
    config, siblings = context.configs[place.overrides], context.worker.siblings
    told(0, None)
    # Wilcoxon's test pairs what two trials were judged on the same themes
    by_themes = config.sweep.metric == WIN_RATE.name and config.sweep.pruner == "wilcoxon"

    def report(step: int, loss: float) -> bool:
        told(step, loss)
        return not by_themes and trial.report(step, loss)

    def judged(number: int, lost: float) -> bool:
        return by_themes and trial.report(number, lost)

    def leave() -> str | None:
        limit.check()
        if trial.stopped():
            return STOPPED
        if parent.heard_of_deletion:
            return WAS_DELETED
        return "who watched over it is gone" if siblings.controller_is_gone else None

    minutes, watched = context.config.sweep.trial_minutes, siblings.controller is not None
    with TrialLimit(minutes, context.clock, hard=watched) as limit:
        hooks = RunHooks(began=trial.run, judged=judged, report=report, leave=leave)
        try:
            run = train_run(config, context.session, place, hooks)
        except DeletedError as error:
            if parent.deleted:
                raise Interrupted(WAS_DELETED) from error
            raise
    if run.outcome.pruned:
        return TrialEnd(run.outcome.best.loss, pruned=True)
    return TrialEnd(trial_value(config, run.totals))


def trial_value(config: Config, totals: Mapping[str, float]) -> float:
    """What a run's measures come to, to be made small: the metric that steers the search, if all required holds.

    Raises:
        RequirementError: when it breaks what is required.
        HarnessError: when it has no score.
    """
    metric = config.sweep.metric
    if metric not in totals:
        why = (
            "the judge left it unscored, its run says why"
            if metric == WIN_RATE.name
            else "set what it is measured with"
        )
        raise HarnessError(f"it has no {metric}: {why}")
    value = objective(metric).minimized(totals)
    _check_requirements(config.sweep.require, totals, value)
    return value


def _check_requirements(required: Sequence[str], totals: Mapping[str, float], value: float) -> None:
    by: dict[str, float] = {}
    said = []
    measured = {name.replace("/", "."): value for name, value in totals.items()}
    for text in required:
        condition = read_requirement(text)
        if missing := [name for name in condition.names if name not in measured]:
            raise HarnessError(f"it cannot be told whether it meets {text}: it has no {', '.join(missing)}")
        if not condition.holds(measured):
            values = ", ".join(f"{name} is {measured[name]:.4g}" for name in condition.names)
            by[text] = condition.broken_by(measured)
            said.append(f"it breaks sweep.require={text}: {values}")
    if said:
        raise RequirementError("; ".join(said), value=value, by=by)


def _finished_value(store: Store, config: Config, run_id: str | None) -> float | None:
    """The value of a trial whose run has finished, if it has."""
    folder = None if run_id is None else store.runs / run_id
    if folder is None or not (folder / run_folder.REPORT).exists() or Journal(folder).ended is not RunState.FINISHED:
        return None
    return trial_value(config, json.loads((folder / run_folder.REPORT).read_text("utf-8"))["totals"])


def _keeps_states(context: SweepContext) -> bool:
    """Whether what has finished may be gone on with by another trial, or after its checkpoints were dropped."""
    return context.varies("train.iters") or context.config.sweep.keep != "all"
