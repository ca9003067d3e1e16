"""Where the parts meet: one training run, from a Config to a finished record.

The train command and a sweep both call `train_run`, and only it. Nothing passes from one run to the
next but what a Session holds.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from harness.config.objective import VALID_LOSS
from harness.config.schema import Config
from harness.console.progress import duration
from harness.errors import HarnessError, reason
from harness.files import make_folder, one_at_a_time
from harness.machine.device import begin_phase
from harness.machine.provenance import git_state
from harness.run.context import RunContext, RunHooks, RunPlace
from harness.run.finish import RunResult, best_adapter, log_end, score_test
from harness.run.identity import identity_of
from harness.run.inputs import Inputs, gather_inputs
from harness.run.reuse import taken_outcome
from harness.run.samples import base_texts, measure_texts, write_samples
from harness.run.session import Session
from harness.run.start import Start, begin, find_start
from harness.run.status import check_not_deleted, end, status_kept
from harness.run.training import Trained, train_adapter
from harness.run.twins import settle_twins
from harness.run.watcher import RunWatcher
from harness.tracking import run_folder
from harness.tracking.run_state import RunState
from harness.tracking.runs import TrackedRun
from harness.tuning.loop import Outcome


@dataclass(frozen=True, kw_only=True)
class FinishedRun:
    """`totals`: what the run measured, by the metric's name."""

    run_id: str
    folder: Path
    outcome: Outcome
    totals: dict[str, float]


def train_run(config: Config, session: Session, place: RunPlace, hooks: RunHooks = RunHooks()) -> FinishedRun:  # noqa: B008
    """Check, train, sample, record; or go on with a run that was interrupted, as train.resume says.

    A trial of a sweep takes over what another run has done of it.

    Raises:
        HarnessError: for what the user can mend; the MLflow run, if it had begun, then says FAILED and why.
    """
    name = place.name or _name(config)
    place = replace(place, name=name)
    inputs = _checked_inputs(config, session, place)
    start = find_start(config, inputs, session, sweep=place.sweep)
    with _tracked(config, inputs, session, place, start) as run:
        context = RunContext(
            config=config, inputs=inputs, run=run, name=name, place=place, session=session, hooks=hooks
        )
        for line in run.damage:
            session.display.say(f"warning: {line}; the rest is kept")
        hooks.began(run.run_id)
        with status_kept(context):
            outcome, totals = _phases(context, start)
            end(context, outcome)
        if not outcome.pruned and not place.keep_state:
            (run.folder / run_folder.STATE).unlink(missing_ok=True)  # finished: nothing is left to go on with
    session.display.say(
        f"{name}: {VALID_LOSS.label} {outcome.start.loss:.4f} → {outcome.best.loss:.4f}, "
        f"perplexity {outcome.best.perplexity:.1f}, after {outcome.best.step} updates; "
        f"{duration(outcome.train_seconds)}, {outcome.peak_gb:.2f} GB; run {run.run_id}"
    )
    return FinishedRun(run_id=run.run_id, folder=run.folder, outcome=outcome, totals=totals)


def _name(config: Config) -> str:
    lora, settings = config.lora, config.train
    return f"rank={lora.rank} scale={lora.scale:g} layers={lora.num_layers} lr={settings.learning_rate:g}"


def _checked_inputs(config: Config, session: Session, place: RunPlace) -> Inputs:
    """What the run starts from. A trial that cannot begin is to be seen among the others."""
    try:
        inputs = gather_inputs(config, session)
        if config.judge.wanted:
            from harness.run.judging import check_ready  # what judging needs takes half a second to import

            check_ready(config, session.display)
        session.followers.check(inputs.parts)
    except HarnessError as error:
        if place.sweep is not None:
            with _new_run(config, session, place, {}) as run:
                run.finish(RunState.FAILED, reason(error))
        raise
    return inputs


def _new_run(
    config: Config, session: Session, place: RunPlace, tags: dict[str, str]
) -> AbstractContextManager[TrackedRun]:
    assert place.name is not None, "train_run gives it one"
    tags = place.tags | git_state() | tags
    return TrackedRun.start(session.store, config.name, name=place.name, tags=tags, parent=place.sweep)


@contextmanager
def _tracked(config: Config, inputs: Inputs, session: Session, place: RunPlace, start: Start) -> Iterator[TrackedRun]:
    """The run in MLflow: a new one, or the one that is gone on with. Of two commands at once one sees the other's."""
    store = session.store
    make_folder(store.runs.parent)
    with ExitStack() as inside:
        with one_at_a_time(store.runs.with_name(".starting.lock")):
            settle_twins(config, inputs, session, sweep=place.sweep, resumed=start.former)
            if start.former is None:
                tags = {"identity": identity_of(inputs.parts)} | start.tags
                run = inside.enter_context(_new_run(config, session, place, tags))
            else:
                run = inside.enter_context(TrackedRun.resume(store, start.former.folder))
        yield run


def _phases(context: RunContext, start: Start) -> tuple[Outcome, dict[str, float]]:
    """Train, then sample, then judge; each phase lets go of what the next does not need.

    Returns also what the run measured, by the metric's name.
    """
    watcher = RunWatcher(context)
    course = begin(context, watcher, start)
    if course is not None and start.is_whole:
        trained = Trained(outcome=taken_outcome(course))
    else:
        context.session.followers.train()
        trained = train_adapter(context, watcher, course)
    begin_phase()
    check_not_deleted(context)
    result = RunResult(outcome=trained.outcome, needs=trained.needs)
    if not trained.outcome.pruned:
        result = _with_texts(context, result, trained)
    return result.outcome, log_end(context, watcher, result)


def _with_texts(context: RunContext, result: RunResult, trained: Trained) -> RunResult:
    """Score the best checkpoint on the test split, let it write, measure and judge what it wrote."""
    outcome, adapter = result.outcome, best_adapter(context)
    test = score_test(context, adapter, outcome.best.step, chunked=trained.chunked)
    samples = write_samples(context, adapter, outcome.best.step)
    beside = base_texts(context) if samples else []
    measured = measure_texts(context, samples, beside)
    begin_phase()
    check_not_deleted(context)
    if context.config.judge.wanted and samples:
        from harness.run.judging import judge_texts

        judged = judge_texts(context, samples, beside)
        outcome = replace(outcome, pruned=judged.pruned)
        measured |= judged.metrics
    return replace(result, outcome=outcome, test=test, samples=samples, measured=measured)
