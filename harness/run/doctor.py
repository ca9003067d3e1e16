"""A check of this machine for one configuration: what is there, a few updates timed, the whole run predicted."""

import dataclasses
import shutil
import time
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from harness.config.checks import total_updates
from harness.config.schema import Config, TrainConfig
from harness.console.progress import Display, duration
from harness.data.dataset import Split, fixed_subset
from harness.machine.device import begin_phase, device, device_memory, free_memory, freeze_libraries, memory_use
from harness.machine.mac import mac_advice
from harness.machine.provenance import versions
from harness.models.adapter import Weights, adapter_weights, attached, equal_weights
from harness.run.inputs import Inputs, gather_inputs
from harness.run.preflight import check_memory, plan_memory, shortage_said
from harness.run.samples import plan_samples
from harness.run.session import open_session
from harness.run.shortcuts import planned_cut, prepare_engine
from harness.sampling.samples import bare_base
from harness.sampling.write import write
from harness.tuning.batches import stream
from harness.tuning.engine import Engine
from harness.tuning.estimate import computed_positions
from harness.tuning.evaluate import Score
from harness.tuning.loop import train
from harness.tuning.memory import shape_of
from harness.tuning.meter import Window

_UPDATES = 4  # timed, the first not counted: it compiles
_TOKENS = 32  # written to time the writing
_VALID_BATCHES = 4


@dataclass
class Timing:
    """A tuning.loop.Watcher that notes when each update ended."""

    display: Display
    ends: list[float] = field(default_factory=list)
    start: Score | None = None
    targets: int = 0

    def on_update(self, step: int, loss: float) -> None:
        self.ends.append(time.perf_counter())
        self.display.update(step, loss=loss)

    def on_window(self, window: Window) -> None:
        self.targets = window.targets

    def on_validating(self, done: int, total: int) -> None:
        self.display.validating(done, total)

    def on_interrupt(self, state: Any) -> None: ...

    def on_rows(self, rows: Any) -> None: ...

    def on_score(self, score: Score, state: Any, *, best: bool) -> None:
        self.start = self.start or score
        self.ends.append(time.perf_counter())


def check_up(config: Config) -> None:
    """Print what is found, a line each, the cheap first.

    Raises:
        HarnessError: for the first thing that would keep a run from working.
    """
    has = device()
    _line("device", f"{has['name']}, {has['backend']}, {has['system']}")
    _line("memory", f"{device_memory() / 1e9:.1f} GB for MLX, {free_memory() / 1e9:.1f} GB of it free now")
    _line("versions", ", ".join(f"{name} {version}" for name, version in versions().items()))
    for advice in mac_advice():
        _line("advice", advice)
    display = Display()
    session = open_session(config.tracking, display)
    freeze_libraries()
    place = session.store.runs.parent
    _line("tracking", f"{session.store.uri} answers; {shutil.disk_usage(place).free / 1e9:.0f} GB free in {place}")
    inputs = gather_inputs(config, session)
    _line("base", f"{inputs.base.path} loads: {inputs.base.num_blocks} blocks")
    rows = ", ".join(f"{split.name} {len(split.rows)} rows" for split in inputs.splits)
    _line("data", rows)
    updates = total_updates(config.train, len(inputs.train.rows))
    with attached(inputs.base.model, inputs.spec, seed=config.train.seed):
        shape = shape_of(inputs.base.model, inputs.spec, inputs.base.settings)
        cut = planned_cut(config, inputs, shape, free_disk=session.trunks.free_disk())
        plan = plan_memory(config, inputs, shape, cut[0])
        for line in check_memory(plan, inputs.base.path, has=device_memory(), free=free_memory()):
            _line("need", line)
        display.say(f"reading the weights of {inputs.base.path}")
        with shortage_said(plan):
            engine = prepare_engine(config, inputs, cut, session)
            inputs.base.materialize(engine.at)
    _line("engine", _said(engine, inputs.base.num_blocks))
    if updates:
        with shortage_said(plan):
            _time(config, inputs, engine, display)


def _said(engine: Engine, blocks: int) -> str:
    where = f"steps begin at block {engine.at} of {blocks}" if engine.at else f"all {blocks} blocks in every step"
    head = "learned positions only" if engine.on_targets else "all positions"
    agrees = "; loss and gradients agree with the whole model's here" if engine.at or engine.on_targets else ""
    return f"{where}, the head on {head}{agrees}"


def _time(config: Config, inputs: Inputs, engine: Engine, display: Display) -> None:
    settings = _few_updates(config.train)
    valid = fixed_subset(inputs.valid, _VALID_BATCHES * settings.batch_size)
    first, _ = _train(inputs, settings, valid, engine, display)
    second, timing = _train(inputs, settings, valid, engine, display)
    peak = memory_use().peak
    seconds = [later - earlier for earlier, later in zip(timing.ends[1:], timing.ends[2:], strict=False)][
        : _UPDATES - 1
    ]
    batches = stream(inputs.train.rows, settings.batch_size, seed=settings.seed)
    computed = [sum(next(batches).computed for _ in range(settings.grad_accumulation_steps)) for _ in range(_UPDATES)]
    position_seconds = median(spent / positions for spent, positions in zip(seconds, computed[1:], strict=True))
    assert timing.start is not None
    trained, validated = computed_positions(inputs.train, inputs.valid, config.train)
    updates = total_updates(config.train, len(inputs.train.rows))
    update_seconds = trained / updates * position_seconds
    learned = timing.targets / sum(computed) / position_seconds
    _line("speed", f"{update_seconds:.3g} s an update, {learned:.0f} learned tokens a second")
    writing = _time_writing(config, inputs)
    whole = duration(trained * position_seconds + validated * timing.start.position_seconds + writing)
    _line("whole run", f"about {whole}: {updates} updates, validations, {len(config.generate.prompts)} samples")
    _line("peak", f"{peak:.2f} GB in these few updates, which may not be the widest")
    same = "the same bytes: an interrupted run can be gone on with exactly"
    other = "other bytes: an interrupted run that is gone on with ends near the undisturbed one, not at it"
    _line("exact", f"the same updates twice ended in {same if equal_weights(first, second) else other}")


def _few_updates(settings: TrainConfig) -> TrainConfig:
    """The run's own first updates, without what happens between them."""
    never = 10**9
    return dataclasses.replace(
        settings,
        iters=_UPDATES,
        epochs=None,
        warmup=0.0,
        patience=None,
        steps_per_report=never,
        steps_per_eval=never,
        save_every=never,
    )


def _train(
    inputs: Inputs, settings: TrainConfig, valid: Split, engine: Engine, display: Display
) -> tuple[Weights, Timing]:
    begin_phase()
    timing = Timing(display)
    with attached(inputs.base.model, inputs.spec, seed=settings.seed), display.updates(_UPDATES, "timing"):
        train(inputs.base.model, inputs.train, valid, settings, timing, engine=engine)
        return adapter_weights(inputs.base.model), timing


def _time_writing(config: Config, inputs: Inputs) -> float:
    """Seconds for the run's samples."""
    if not config.generate.prompts:
        return 0.0
    begin_phase()
    base, short = inputs.base, min(_TOKENS, config.generate.max_tokens)
    shorter = dataclasses.replace(config, generate=dataclasses.replace(config.generate, max_tokens=short))
    planned = plan_samples(shorter, base.tokenizer, bare_base(base.path))
    list(write(base.model, base.tokenizer, planned, shorter.generate))  # compiles
    written = list(write(base.model, base.tokenizer, planned, shorter.generate))
    token_seconds = sum(entry.seconds for entry in written) / max(sum(entry.tokens for entry in written), 1)
    _line("writing", f"{1 / token_seconds:.0f} tokens a second")
    return token_seconds * config.generate.max_tokens * len(config.generate.prompts)


def _line(label: str, text: str) -> None:
    print(f"{label:10} {text}", flush=True)
