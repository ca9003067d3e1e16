"""Where the parts meet: one training run, from a Config to a finished record.

The train door and the sweeper both call `train_run`, and only it. Nothing passes from one run to the
next but what a Session holds.
"""

import dataclasses
import shlex
import traceback
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import yaml

from harness.config.checks import total_updates
from harness.config.load import flat
from harness.config.objective import VALID_LOSS
from harness.config.overrides import as_typed
from harness.config.schema import Config
from harness.console.interrupt import gentle_interrupt
from harness.console.progress import duration
from harness.data.dataset import describe
from harness.errors import HarnessError, WriteError, reason
from harness.files import write_json, write_text
from harness.machine.device import begin_phase, device, memory_use
from harness.machine.provenance import git_state, versions
from harness.models.adapter import (
    adapter_weights,
    attached,
    load_weights,
    save_spec,
)
from harness.run.context import RunContext, RunHooks, RunPlace
from harness.run.finish import best_adapter, log_end, score_test
from harness.run.identity import identity_of
from harness.run.inputs import gather_inputs
from harness.run.log import EventLog
from harness.run.preflight import MemoryPlan, check_disk, check_memory, plan_memory, shortage_said
from harness.run.resume import Unfinished, clean, find_unfinished
from harness.run.reuse import Source, find_source, take_over, taken_outcome
from harness.run.samples import base_texts, measure_texts, write_samples
from harness.run.session import Session
from harness.run.shortcuts import planned_cut, prepare_engine
from harness.run.watcher import RunWatcher
from harness.tracking import run_folder
from harness.tracking.run_state import STATE, RunState
from harness.tracking.runs import TrackedRun
from harness.tuning.loop import Outcome, train
from harness.tuning.memory import shape_of


@dataclass(frozen=True)
class FinishedRun:
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

    def start(more: dict[str, str]) -> AbstractContextManager[TrackedRun]:
        tags = place.tags | git_state() | more
        return TrackedRun.start(session.store, config.name, name=name, tags=tags, parent=place.sweep)

    try:
        inputs = gather_inputs(config, session)
        if config.judge.wanted:
            from harness.run.judging import check_ready  # what judging needs takes half a second to import

            check_ready(config, session.display)
    except HarnessError as error:
        if place.sweep is not None:  # a trial that cannot begin is to be seen among the others
            with start({}) as run:
                run.finish("FAILED", reason(error))
        raise
    former = find_unfinished(config, session.store, inputs.parts, place.sweep)
    source = None
    if former is None and place.sweep is not None:
        anywhere = config.sweep.reuse == "store"
        source = find_source(
            config, inputs, session.store, sweep=place.sweep, anywhere=anywhere, warn=session.warn_once
        )
    tags = {"identity": identity_of(inputs.parts)} | (source.tags if source else {})
    with TrackedRun.resume(session.store, former.folder) if former else start(tags) as run:
        context = RunContext(
            config=config,
            inputs=inputs,
            run=run,
            log=EventLog(run.folder / run_folder.LOG),
            name=name,
            session=session,
            hooks=hooks,
        )
        for line in run.damage:
            session.display.say(f"warning: {line}; the rest is kept")
        hooks.began(run.run_id)
        with _status_kept(context, place):
            outcome, totals = _phases(context, place, former, source)
            if outcome.pruned:
                _end(context, RunState.PRUNED, f"pruned after update {outcome.updates}")
            else:
                _end(context, RunState.FINISHED)
        if not outcome.pruned and not place.keep_state:
            (run.folder / run_folder.STATE).unlink(missing_ok=True)  # finished: nothing is left to go on with
    session.display.say(
        f"{name}: {VALID_LOSS.label} {outcome.start.loss:.4f} → {outcome.best.loss:.4f}, "
        f"perplexity {outcome.best.perplexity:.1f}, after {outcome.best.step} updates; "
        f"{duration(outcome.train_seconds)}, {outcome.peak_gb:.2f} GB; run {run.run_id}"
    )
    return FinishedRun(run.run_id, run.folder, outcome, totals)


def _name(config: Config) -> str:
    lora, settings = config.lora, config.train
    return f"rank={lora.rank} scale={lora.scale:g} layers={lora.num_layers} lr={settings.learning_rate:g}"


@contextmanager
def _status_kept(context: RunContext, place: RunPlace) -> Iterator[None]:
    """However the work inside ends, the run's status and reason say so."""

    try:
        yield
    except KeyboardInterrupt:
        _end(context, RunState.KILLED, "interrupted from the keyboard")
        if place.sweep is None:
            context.display.say(_how_to_resume(context, place))
        raise
    except BaseException as error:
        with suppress(WriteError):  # a full disk may not take this either; harness.reconcile closes the run then
            if not isinstance(error, HarnessError):  # a fault of ours: a sweep goes on, so it is kept here
                context.log.write("traceback", text=traceback.format_exc())
            _end(context, RunState.FAILED, reason(error))
        if isinstance(error, WriteError) and place.sweep is None:
            context.display.say(_how_to_resume(context, place))
        raise


def _end(context: RunContext, state: RunState, why: str | None = None) -> None:
    if why is not None:
        context.log.write("ended", status=state.status, reason=why)
    context.run.tags({STATE: state.tag})
    waiting = context.run.finish(state.status, why)
    if waiting:
        why_not = context.run.trouble or "it does not answer"
        context.display.say(
            f"warning: {waiting} entries of run {context.run.run_id} have not reached {context.run.store.uri} "
            f"({why_not}); they are kept in its folder: send them with python -m harness.reconcile"
        )


def _how_to_resume(context: RunContext, place: RunPlace) -> str:
    if not (context.folder / run_folder.STATE).exists():
        return f"stopped before the first checkpoint of run {context.run.run_id}: nothing to go on from"
    command = shlex.join(["python", "-m", "harness.train", *_as_typed(place), f"train.resume={context.run.run_id}"])
    return f"go on with: {command}"


def _as_typed(place: RunPlace) -> list[str]:
    """What was set on the command line, but for what a resumption sets itself."""
    return [as_typed(word) for word in place.overrides if not word.startswith("train.resume=")]


def _phases(
    context: RunContext, place: RunPlace, former: Unfinished | None, source: Source | None
) -> tuple[Outcome, dict[str, float]]:
    """The phases of a run; each lets go of what the next does not need. Returns also what it measured, by metric."""
    inputs = context.inputs
    watcher = RunWatcher(
        context.config,
        inputs.train,
        inputs.valid,
        run=context.run,
        log=context.log,
        display=context.display,
        lineage=_lineage(context, place),
        trials=(place.left, place.at_once),
    )
    if former is None:
        _log_beginning(context, place)
    if former is not None:
        clean(context.folder)
        watcher.resume(former.course)
        context.display.say(f"going on with run {context.run.run_id} after update {former.course.step}")
    elif source is not None:
        context.display.say(source.said)
        former = Unfinished(context.folder, take_over(source, context.run, context.log))
        watcher.resume(former.course)
        for score in watcher.scores:
            context.stop(score)  # told, not asked: it was paid for elsewhere
    if former is not None and source is not None and source.whole:
        outcome, plan = taken_outcome(former.course), MemoryPlan({}, [])
    else:
        outcome, plan = _train(context, watcher, former)
    begin_phase()
    adapter = best_adapter(context)
    test = None if outcome.pruned else score_test(context, adapter, outcome)
    if outcome.pruned:
        return outcome, log_end(context, outcome, None, watcher, [], {}, plan)
    samples = write_samples(context, adapter, outcome.best.step)
    beside = base_texts(context) if samples else []
    measured = measure_texts(context, samples, beside)
    begin_phase()
    if context.config.judge.wanted and samples:
        from harness.run.judging import judge_texts

        judged = judge_texts(context, samples, beside)
        outcome = dataclasses.replace(outcome, pruned=judged.pruned)
        measured |= judged.metrics
    return outcome, log_end(context, outcome, test, watcher, samples, measured, plan)


def _train(context: RunContext, watcher: RunWatcher, former: Unfinished | None) -> tuple[Outcome, MemoryPlan]:
    inputs, settings, display = context.inputs, context.config.train, context.display
    model, updates = inputs.base.model, total_updates(settings, len(inputs.train.rows))
    begin_phase()
    with attached(model, inputs.spec, seed=settings.seed):
        if inputs.init is not None:
            load_weights(model, inputs.init.weights)
        adapter_bytes = sum(value.nbytes for value in adapter_weights(model).values())
        check_disk(context.config, inputs, context.folder, adapter_bytes, display)
        shape = shape_of(model, inputs.spec, inputs.base.settings)
        cut = planned_cut(context.config, inputs, shape)
        plan = plan_memory(context.config, inputs, shape, cut[0])
        for line in check_memory(plan, inputs.base.path):
            display.say(line)
        display.say(f"reading the weights of {inputs.base.path}")
        before = context.session.trunks.seconds
        with shortage_said(plan):
            engine = prepare_engine(context.config, inputs, cut, context.session)
            inputs.base.materialize(engine.at)
        context.totals["memory/preparing_peak_gb"] = memory_use().peak
        context.totals["trunk/seconds"] = context.session.trunks.seconds - before
        begin_phase()
        splits = (inputs.train, inputs.valid)
        with display.updates(updates, context.name), shortage_said(plan):
            # no name for the state: its arrays are to go once they are put back
            state = former.state if former else lambda: None
            with gentle_interrupt(display.say) as asked:
                outcome = train(
                    model,
                    *splits,
                    settings,
                    watcher,
                    resume=state(),
                    engine=engine,
                    stop=context.stop,
                    interrupted=lambda: asked() or context.hooks.leave(),
                )
            if asked():  # too late for the loop
                raise KeyboardInterrupt
    if outcome.pruned:
        display.say(f"pruned after update {outcome.updates}: others were better there")
    elif outcome.updates < updates:
        display.say(f"stopped after update {outcome.updates}: {settings.patience} validations without a new best")
    return outcome, plan


def _log_beginning(context: RunContext, place: RunPlace) -> None:
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
        | {"overrides": shlex.join(_as_typed(place))}
        | {f"version.{name}": version for name, version in versions().items()}
        | {f"device.{name}": value for name, value in device().items() if value}
    )
    for split in inputs.splits:
        run.dataset(name=split.name, digest=split.digest, path=split.path, context=split.name)
    context.log.write("started", run=run.run_id, overrides=place.overrides, data=describe(inputs.splits))
    for warning in inputs.warnings:
        context.log.write("warning", text=warning)


def _lineage(context: RunContext, place: RunPlace) -> dict[str, str]:
    """What each checkpoint, and so each registered version, says of where it comes from."""
    sweep = {} if place.sweep is None else {"sweep": place.sweep}
    start = {} if context.inputs.init is None else {"init_adapter": context.inputs.init.source}
    return (
        sweep
        | start
        | {
            "run": context.run.run_id,
            "experiment": context.config.name,
            "base": context.inputs.base.path,
            "base_revision": context.inputs.base.revision,
            "train_digest": context.inputs.train.digest,
        }
    )
