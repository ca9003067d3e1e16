"""The training phase of a run: the adapter on the base, what a step may leave out, then the loop."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from harness.config.checks import total_updates
from harness.config.schema import Config
from harness.console.interrupt import gentle_interrupt
from harness.machine.device import begin_phase, device_memory, free_memory, memory_use
from harness.models.adapter import adapter_weights, attached, load_weights
from harness.run.context import RunContext
from harness.run.inputs import Inputs
from harness.run.preflight import MemoryPlan, check_disk, check_memory, plan_memory, shortage_said
from harness.run.session import Session
from harness.run.shortcuts import planned_cut, prepare_engine
from harness.run.status import why_deleted
from harness.run.watcher import RunWatcher
from harness.tracking import run_folder
from harness.tuning.engine import Engine
from harness.tuning.loop import Outcome, train
from harness.tuning.memory import Need, shape_of
from harness.tuning.process import memory_limits
from harness.tuning.state import Course, load_state


@dataclass(frozen=True, kw_only=True)
class Trained:
    """`needs`: the memory that was predicted, by phase; of a run that trained nothing, none.

    `chunked`: gated delta rules went in chunks.
    """

    outcome: Outcome
    needs: Mapping[str, Need] = field(default_factory=dict)
    chunked: bool = False


def train_adapter(context: RunContext, watcher: RunWatcher, course: Course | None) -> Trained:
    """Train from the start, or go on from the state in the run's folder, which came as far as `course`.

    Raises:
        HarnessError: when disk or memory will not do, or the loss is not finite any more.
        KeyboardInterrupt: when it is to be left, once the state to go on from is saved.
    """
    inputs, settings = context.inputs, context.config.train
    begin_phase()
    with (
        memory_limits(settings.memory_limit_gb, settings.cache_limit_gb),
        attached(inputs.base.model, inputs.spec, seed=settings.seed),
    ):
        if inputs.init is not None:
            load_weights(inputs.base.model, inputs.init.weights)
        adapter_bytes = sum(value.nbytes for value in adapter_weights(inputs.base.model).values())
        check_disk(context.config, inputs, context.folder, adapter_bytes, context.display)
        before = context.session.trunks.seconds
        engine, plan = prepare_step(context.config, inputs, context.session)
        context.totals["memory/preparing_peak_gb"] = memory_use().peak
        context.totals["trunk/seconds"] = context.session.trunks.seconds - before
        begin_phase()
        outcome = _loop(context, watcher, course, engine, plan)
    updates = total_updates(settings, len(inputs.train.rows))
    if outcome.pruned:
        context.display.say(f"pruned after update {outcome.updates}: others were better there")
    elif outcome.updates < updates:
        patience = f"{settings.patience} validations without a new best"
        context.display.say(f"stopped after update {outcome.updates}: {patience}")
    return Trained(outcome=outcome, needs=plan.phases, chunked=engine.chunked)


def prepare_step(config: Config, inputs: Inputs, session: Session) -> tuple[Engine, MemoryPlan]:
    """What the steps will take, said and checked; then the weights that they need, read. The adapter must be attached.

    In a group all processes call it, and leave out the same.

    Raises:
        HarnessError: when memory will not do.
    """
    display, group = session.display, session.group
    shape = shape_of(inputs.base.model, inputs.spec, inputs.base.settings)
    cuts = group.gather(planned_cut(config, inputs, shape, free_disk=session.trunks.free_disk()))
    at, why_not = next((cut for cut in cuts if cut[0] == 0), cuts[0])
    plan = plan_memory(of_one(config, group.size), inputs, shape, at)
    limit = config.train.memory_limit_gb
    has, free = device_memory(), free_memory()
    for line in check_memory(plan, inputs.base.path, has=has, free=free, limit_gb=limit):
        display.say(line)
    display.say(f"reading the weights of {inputs.base.path}")
    with shortage_said(plan):
        engine = prepare_engine(config, inputs, (at, why_not), session)
        inputs.base.materialize(engine.at)
    return engine, plan


def of_one(config: Config, processes: int) -> Config:
    """What one of the processes computes at once: its rows of a batch."""
    rows = -(-config.train.batch_size // processes)
    return replace(config, train=replace(config.train, batch_size=rows))


def _loop(context: RunContext, watcher: RunWatcher, course: Course | None, engine: Engine, plan: MemoryPlan) -> Outcome:
    inputs, settings, display = context.inputs, context.config.train, context.display
    updates = total_updates(settings, len(inputs.train.rows))
    with (
        display.updates(updates, context.name),
        shortage_said(plan),
        gentle_interrupt(display.say, partial(_why_to_leave, context)) as asked,
    ):
        return train(
            inputs.base.model,
            inputs.train,
            inputs.valid,
            settings,
            watcher,
            # no name for the state: its arrays are to go once they are put back
            resume=None if course is None else load_state(context.folder / run_folder.STATE),
            engine=engine,
            stop=context.stop,
            interrupted=asked,
            group=context.session.group,
            b_rate=context.config.lora.b_rate,
        )


def _why_to_leave(context: RunContext) -> str | None:
    return context.hooks.leave() or why_deleted(context) or context.session.followers.why_to_leave()
