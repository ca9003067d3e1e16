"""What a sweep says of itself while it goes on: lines for people, rows for the table that lives.

Knows nothing of how trials are trained.
"""

from collections.abc import Sequence

from harness.config.objective import TEST_LOSS, VALID_LOSS, Objective
from harness.console.progress import duration
from harness.multirun.context import SweepContext
from harness.multirun.live_table import Row
from harness.run.reuse import length_is_free
from harness.sweeping.states import TrialStatus
from harness.sweeping.study import Study
from harness.sweeping.trial import Result, Trial, best_results

# each decides what tokens of a validation row are scored, or what a token is; a group's name stands for all it holds
_SCORED_BY = {
    "data",
    "data.path",
    "data.labels",
    "data.thinking",
    "train.mask_prompt",
    "train.max_seq_length",
    "model",
    "model.path",
    "model.template_args",
}


def beginning_lines(context: SweepContext, study: Study) -> list[str]:
    """How much there is to do, and what could make it less."""
    done = len(study.results())
    which = f", {done} of them done" if 0 < done < study.total else ""
    lines = [f"sweep {study.parent}: {study.total} trials{which}, {context.space.said}"]
    if context.varies("train.iters") and not length_is_free(context.config.train):
        lines.append(
            "each of train.iters is trained by itself, for the schedule depends on it; with "
            "train.lr_schedule=constant and train.warmup=0 the longest would hold the others"
        )
    names = [axis.name for axis in context.space.axes]
    return lines + [f"warning: {line}" for line in unlike_scores(names, context.objective)]


def unlike_scores(names: Sequence[str], objective: Objective) -> list[str]:
    """A line where what varies changes over which tokens the trials' losses are means."""
    changing = [name for name in names if name in _SCORED_BY or name.startswith("model.template_args.")]
    if objective.name not in (VALID_LOSS.name, TEST_LOSS) or not changing:
        return []
    return [
        f"trials that differ in {changing[0]} are scored on other tokens, so that their {objective.label} does not "
        "say which learned better; compare texts instead: sweep.metric=judge/win_rate, or harness.judge"
    ]


def so_far(context: SweepContext, study: Study, results: Sequence[Result], trial_seconds: float) -> str:
    """How far it is. `trial_seconds`: what one takes, on average."""
    said = [f"{len(results)} of {study.total} trials done"]
    for best in best_results(results)[:1]:
        value = context.objective.shown(best.value or 0.0)
        said.append(f"best {context.objective.label} {value:.4f} by {context.space.varying(best.trial.params)}")
    if len(results) < study.total:
        said.append(f"about {duration(trial_seconds * (study.total - len(results)))} left")
    return ", ".join(said)


def done_line(study: Study, results: Sequence[Result]) -> str:
    failed = sum(result.failure is not None for result in results)
    but = f", {failed} of them failed" if failed else ""
    why, more = "", "a higher sweep.trials"
    if study.is_settled:
        why, more = ", the last of which brought no more than the noise", "sweep.stop_when=null"
    return (
        f"sweep {study.parent} is done: {len(results)} trials{but}{why}; "
        f"for more set {more}, for another one a new name=… or train.seed"
    )


def go_on_line(context: SweepContext) -> str:
    return f"go on with the same command: {context.worker.typed}"


def tell_trial(context: SweepContext, study: Study, trial: Trial, *, step: int, loss: float | None) -> None:
    """One at work, to the table: the update of its last validation, and the loss where trials are compared by that."""
    row: Row = {"place": trial.place, "name": context.space.varying(trial.params), "state": TrialStatus.RUNNING}
    row |= {"step": step, "value": loss if context.objective == VALID_LOSS else None}
    context.worker.teller.tell(study.total, [row], context.objective)


def tell_results(context: SweepContext, study: Study, results: Sequence[Result]) -> None:
    """Those that have ended, to the table."""
    rows = [_row(context, result) for result in results]
    context.worker.teller.tell(study.total, rows, context.objective)


def _row(context: SweepContext, result: Result) -> Row:
    row: Row = {"place": result.trial.place, "name": context.space.varying(result.trial.params)}
    value = None if result.value is None else context.objective.shown(result.value)
    if result.pruned and context.objective != VALID_LOSS:  # it ended by another measure
        value = None
    return row | {"state": result.status, "value": value, "seconds": result.seconds}
