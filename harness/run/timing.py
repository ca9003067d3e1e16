"""A run's own first updates and a few of its tokens, timed: what the whole of it would take. Tells nobody."""

import dataclasses
import time
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median
from typing import Any

from harness.config.checks import total_updates
from harness.config.schema import Config, TrainConfig
from harness.console.progress import Display
from harness.data.dataset import Split, fixed_subset
from harness.machine.device import begin_phase, memory_use
from harness.models.adapter import Weights, adapter_weights, attached, equal_weights
from harness.run.inputs import Inputs
from harness.run.samples import plan_samples
from harness.sampling.samples import bare_base
from harness.sampling.write import write
from harness.tuning.batches import stream
from harness.tuning.engine import Engine
from harness.tuning.estimate import computed_positions
from harness.tuning.evaluate import Score
from harness.tuning.loop import train
from harness.tuning.meter import Window

_UPDATES = 4  # timed, the first not counted: it compiles
_TOKENS = 32  # written to time the writing
_VALID_BATCHES = 4
_NEVER = 10**9


@dataclass(frozen=True, kw_only=True)
class Speed:
    """`whole_seconds`: of all updates and validations; `peak_gb`: of these few updates.

    `exact`: whether the same updates twice ended in the same bytes.
    """

    updates: int
    update_seconds: float
    targets_per_second: float
    whole_seconds: float
    peak_gb: float
    exact: bool


@dataclass(frozen=True, kw_only=True)
class WritingSpeed:
    """`whole_seconds`: of all samples at their full length."""

    tokens_per_second: float
    whole_seconds: float


@dataclass
class _Clock:
    """A tuning.loop.Watcher that notes when the first validation and each update ended."""

    display: Display
    ends: list[float] = field(default_factory=list)
    scores: list[Score] = field(default_factory=list)
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
        self.scores.append(score)
        self.ends.append(time.perf_counter())


@dataclass(frozen=True)
class _Trained:
    weights: Weights
    clock: _Clock


def time_updates(config: Config, inputs: Inputs, engine: Engine, display: Display) -> Speed:
    """Train the first updates twice; the second time is the one that counts.

    A position's seconds are what is measured, for rows differ in length from update to update.
    """
    settings = _few_updates(config.train)
    valid = fixed_subset(inputs.valid, _VALID_BATCHES * settings.batch_size)
    first = _trained(inputs, settings, valid, engine, display)
    second = _trained(inputs, settings, valid, engine, display)
    peak_gb = memory_use().peak
    computed = _positions(inputs, settings)
    position_seconds = _position_seconds(second.clock, computed)
    trained, validated = computed_positions(inputs.train, inputs.valid, config.train)
    updates = total_updates(config.train, len(inputs.train.rows))
    return Speed(
        updates=updates,
        update_seconds=trained / updates * position_seconds,
        targets_per_second=second.clock.targets / sum(computed) / position_seconds,
        whole_seconds=trained * position_seconds + validated * second.clock.scores[0].position_seconds,
        peak_gb=peak_gb,
        exact=equal_weights(first.weights, second.weights),
    )


def time_writing(config: Config, inputs: Inputs) -> WritingSpeed:
    """Write short samples twice, with the bare base; the first time compiles."""
    begin_phase()
    base, short = inputs.base, min(_TOKENS, config.generate.max_tokens)
    shorter = dataclasses.replace(config, generate=dataclasses.replace(config.generate, max_tokens=short))
    planned = plan_samples(shorter, base.tokenizer, bare_base(base.path))
    list(write(base.model, base.tokenizer, planned, shorter.generate))
    written = list(write(base.model, base.tokenizer, planned, shorter.generate))
    token_seconds = sum(entry.seconds for entry in written) / max(sum(entry.tokens for entry in written), 1)
    tokens = config.generate.max_tokens * len(config.generate.prompts)
    return WritingSpeed(tokens_per_second=1 / token_seconds, whole_seconds=token_seconds * tokens)


def _few_updates(settings: TrainConfig) -> TrainConfig:
    """The run's own first updates, without what happens between them."""
    return dataclasses.replace(
        settings,
        iters=_UPDATES,
        epochs=None,
        warmup=0.0,
        patience=None,
        steps_per_report=_NEVER,
        steps_per_eval=_NEVER,
        save_every=_NEVER,
    )


def _trained(inputs: Inputs, settings: TrainConfig, valid: Split, engine: Engine, display: Display) -> _Trained:
    begin_phase()
    clock = _Clock(display)
    with attached(inputs.base.model, inputs.spec, seed=settings.seed), display.updates(_UPDATES, "timing"):
        train(inputs.base.model, inputs.train, valid, settings, clock, engine=engine)
        return _Trained(adapter_weights(inputs.base.model), clock)


def _positions(inputs: Inputs, settings: TrainConfig) -> list[int]:
    """Of each update, padding included."""
    batches = stream(inputs.train.rows, settings.batch_size, seed=settings.seed)
    return [sum(next(batches).computed for _ in range(settings.grad_accumulation_steps)) for _ in range(_UPDATES)]


def _position_seconds(clock: _Clock, computed: list[int]) -> float:
    """The median over the updates but the first. `clock.ends`: of a validation, the updates, and a validation."""
    ends = clock.ends[1 : _UPDATES + 1]
    spent = [later - earlier for earlier, later in pairwise(ends)]
    return median(seconds / positions for seconds, positions in zip(spent, computed[1:], strict=True))
