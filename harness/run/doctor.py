"""A check of this machine for one configuration, printed as it is found: what is there, what a run needs and takes.

Knows how it is said; how it is measured is in timing.py.
"""

import shutil

from harness.config.checks import total_updates
from harness.config.schema import Config
from harness.console.progress import Display, duration
from harness.machine.device import device, device_memory, free_memory, freeze_libraries
from harness.machine.mac import mac_advice
from harness.machine.provenance import versions
from harness.models.adapter import attached
from harness.run.inputs import Inputs, gather_inputs
from harness.run.preflight import MemoryPlan, check_memory, plan_memory, shortage_said
from harness.run.session import Session, open_session
from harness.run.shortcuts import planned_cut, prepare_engine
from harness.run.timing import time_updates, time_writing
from harness.tuning.engine import Engine
from harness.tuning.memory import shape_of


def check_up(config: Config) -> None:
    """Print what is found, a line each, the cheap first.

    Raises:
        HarnessError: for the first thing that would keep a run from working.
    """
    _say_machine()
    display = Display()
    session = open_session(config.tracking, display)
    freeze_libraries()
    _say_store(session)
    inputs = gather_inputs(config, session)
    _say_inputs(inputs)
    plan, engine = _engine(config, inputs, session, display)
    _say_engine(engine, inputs.base.num_blocks)
    if total_updates(config.train, len(inputs.train.rows)):
        with shortage_said(plan):
            _say_times(config, inputs, engine, display)


def _say_machine() -> None:
    has = device()
    _line("device", f"{has['name']}, {has['backend']}, {has['system']}")
    _line("memory", f"{device_memory() / 1e9:.1f} GB for MLX, {free_memory() / 1e9:.1f} GB of it free now")
    _line("versions", ", ".join(f"{name} {version}" for name, version in versions().items()))
    for advice in mac_advice():
        _line("advice", advice)


def _say_store(session: Session) -> None:
    place = session.store.runs.parent
    _line("tracking", f"{session.store.uri} answers; {shutil.disk_usage(place).free / 1e9:.0f} GB free in {place}")


def _say_inputs(inputs: Inputs) -> None:
    _line("base", f"{inputs.base.path} loads: {inputs.base.num_blocks} blocks")
    _line("data", ", ".join(f"{split.name} {len(split.rows)} rows" for split in inputs.splits))


def _engine(config: Config, inputs: Inputs, session: Session, display: Display) -> tuple[MemoryPlan, Engine]:
    """What a step of the run will be, compared with the whole model's; says first what memory the run needs."""
    model = inputs.base.model
    with attached(model, inputs.spec, seed=config.train.seed):
        shape = shape_of(model, inputs.spec, inputs.base.settings)
        cut = planned_cut(config, inputs, shape, free_disk=session.trunks.free_disk())
        plan = plan_memory(config, inputs, shape, cut[0])
        limit = config.train.memory_limit_gb
        has, free = device_memory(), free_memory()
        for line in check_memory(plan, inputs.base.path, has=has, free=free, limit_gb=limit):
            _line("need", line)
        display.say(f"reading the weights of {inputs.base.path}")
        with shortage_said(plan):
            engine = prepare_engine(config, inputs, cut, session)
            inputs.base.materialize(engine.at)
    return plan, engine


def _say_engine(engine: Engine, blocks: int) -> None:
    where = f"steps begin at block {engine.at} of {blocks}" if engine.at else f"all {blocks} blocks in every step"
    head = "learned positions only" if engine.on_targets else "all positions"
    agrees = "; loss and gradients agree with the whole model's here" if engine.at or engine.on_targets else ""
    _line("engine", f"{where}, the head on {head}{agrees}")


def _say_times(config: Config, inputs: Inputs, engine: Engine, display: Display) -> None:
    speed = time_updates(config, inputs, engine, display)
    _line("speed", f"{speed.update_seconds:.3g} s an update, {speed.targets_per_second:.0f} learned tokens a second")
    whole_seconds, samples = speed.whole_seconds, len(config.generate.prompts)
    if samples:
        writing = time_writing(config, inputs)
        _line("writing", f"{writing.tokens_per_second:.0f} tokens a second")
        whole_seconds += writing.whole_seconds
    whole = duration(whole_seconds)
    _line("whole run", f"about {whole}: {speed.updates} updates, validations, {samples} samples")
    _line("peak", f"{speed.peak_gb:.2f} GB in these few updates, which may not be the widest")
    same = "the same bytes: an interrupted run can be gone on with exactly"
    other = "other bytes: an interrupted run that is gone on with ends near the undisturbed one, not at it"
    _line("exact", f"the same updates twice ended in {same if speed.exact else other}")


def _line(label: str, text: str) -> None:
    print(f"{label:10} {text}", flush=True)
