"""The training loop: batches in, weights changed, what happened told to a watcher.

Knows nothing of files, MLflow or Optuna.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim
from mlx.utils import tree_map

from harness.config.checks import micro_batches_per_epoch, total_updates
from harness.config.schema import TrainConfig
from harness.data.dataset import Row, Split
from harness.errors import HarnessError
from harness.models.randomness import seeded
from harness.tuning.batches import Batch, Inputs, bucket_width, fixed_batches, stream
from harness.tuning.cut import Tail
from harness.tuning.engine import WHOLE_MODEL, Engine
from harness.tuning.evaluate import Evaluator, RowLosses, Score
from harness.tuning.loss import loss_sum
from harness.tuning.optimizer import make_optimizer
from harness.tuning.process import checkpointed_blocks, dequantized_blocks, wired_memory
from harness.tuning.state import Course, LoopState, capture, restore

# Raised whenever a change makes the same settings end in other weights: it is part of a run's identity.
ENGINE = 3


@dataclass(frozen=True)
class Window:
    """Training since the last report. `loss`: nats a learned token; `targets`: learned tokens in `seconds`.

    `grad_norm`: of the last update, before it was clipped.
    """

    step: int
    loss: float
    grad_norm: float
    learning_rate: float
    targets: int
    seconds: float

    @property
    def tokens_per_second(self) -> float:
        return self.targets / self.seconds


class Watcher(Protocol):
    """Who wants to know. Nothing it does may change the weights."""

    def on_update(self, step: int, loss: float) -> None: ...
    def on_window(self, window: Window) -> None: ...
    def on_validating(self, done: int, total: int) -> None: ...
    def on_rows(self, rows: RowLosses) -> None:
        """What the validation of which `on_score` tells next is the mean of."""

    def on_score(self, score: Score, state: LoopState | None, *, best: bool) -> None:
        """A validation. `state`: what was scored, its weights and how to go on, when that is to be saved."""

    def on_interrupt(self, state: LoopState) -> None:
        """The run is to be left after this update; `state` is how to go on from it."""


@dataclass(frozen=True)
class Outcome:
    """`start` and `last`: validation before the first and after the last update; `best`: the lowest after any.

    `peak_gb` is of this process, so of the part after a resumption. `pruned`: `stop` ended it.
    """

    start: Score
    last: Score
    best: Score
    updates: int
    train_seconds: float
    peak_gb: float
    pruned: bool = False


def train(
    model: nn.Module,
    train_split: Split,
    valid_split: Split,
    settings: TrainConfig,
    watcher: Watcher,
    *,
    resume: LoopState | None = None,
    engine: Engine = WHOLE_MODEL,
    stop: Callable[[Score], bool] = lambda score: False,
    interrupted: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Train the attached adapter for the configured number of updates, from the start or from `resume`.

    Validation runs before the first update, at each multiple of steps_per_eval and save_every, and after
    the last: always after the update, on exactly the weights that are then handed to the watcher. With
    `patience`, that many validations in a row without a new best end the run; so does `stop`, asked after each.
    `interrupted` is asked after each update.

    Raises:
        HarnessError: when the loss is not finite any more.
        KeyboardInterrupt: when `interrupted`, once the watcher has the state to go on from.
    """
    updates = total_updates(settings, len(train_split.rows))
    tail = engine.tail(model)
    make = engine.batcher(valid_split.name)
    evaluator = Evaluator(tail, fixed_batches(valid_split.rows, settings.batch_size, make))
    optimizer = make_optimizer(settings, updates)
    optimizer.init(model.trainable_parameters())
    mx.reset_peak_memory()
    checkpointed = checkpointed_blocks(model, settings.grad_checkpoint)
    dequantized = dequantized_blocks(model, settings.dequantize_tail)
    with wired_memory(), seeded(settings.seed), dequantized, checkpointed, tail.in_place():
        model.eval()  # or dropout would draw here
        # read what lies outside the blocks now: what is not there when a step is compiled would be read in each
        mx.eval(loss_sum(tail, *make(valid_split.rows[:1]).inputs))
        if resume is None:
            start = evaluator.score(0, watcher.on_validating, watcher.on_rows)
            watcher.on_score(start, None, best=False)
            course = Course(0, start, start, start, 0, 0.0, 0.0, 0, 0.0)
        else:
            restore(resume, model, optimizer)
            course, resume = resume.course, None  # else its arrays stay beside the new ones
        meter = _Meter(optimizer, course)
        step_function = make_step(tail, optimizer, max_grad_norm=settings.max_grad_norm)
        micro_batches = _micro_batches(train_split, settings, course.step, engine.batcher(train_split.name))
        step, pruned = course.step, False
        while step < updates and not pruned and not _out_of_patience(course, settings):
            step += 1
            model.train()
            tic = time.perf_counter()
            total, targets, norm = _update(step_function, micro_batches, step, train_split)
            meter.add(total, targets, time.perf_counter() - tic)
            watcher.on_update(step, total / targets)
            if step % settings.steps_per_report == 0 or step == updates:
                watcher.on_window(meter.read(step, norm))
            save = step % settings.save_every == 0 or step == updates
            if save or step % settings.steps_per_eval == 0:
                score = evaluator.score(step, watcher.on_validating, watcher.on_rows)
                _check_finite(score.loss, f"the validation loss after update {step}")
                best = course.best.step == 0 or score.loss < course.best.loss
                course = meter.scored(course, score, best=best)
                pruned = stop(score) and step < updates  # else it is whole
                save = save or best or pruned or _out_of_patience(course, settings)
                watcher.on_score(score, capture(model, optimizer, course) if save else None, best=best)
            if step < updates and not pruned and interrupted():
                watcher.on_interrupt(capture(model, optimizer, meter.at(step, course)))
                raise KeyboardInterrupt
        model.eval()
    peak_gb = mx.get_peak_memory() / 1e9
    return Outcome(course.start, course.last, course.best, course.step, course.train_seconds, peak_gb, pruned)


# (inputs of a batch, carried, last) -> loss sum, targets, norm of the gradient, carried: see make_step
StepResult = tuple[mx.array, mx.array, mx.array | None, Any]
StepFunction = Callable[[Inputs, Any, bool], StepResult]


def make_step(tail: Tail, optimizer: optim.Optimizer, *, max_grad_norm: float | None) -> StepFunction:
    """A compiled step for one micro-batch.

    `carried` holds what earlier micro-batches of the same update summed up; with `last` the gradient of
    the mean over all their tokens is applied. So accumulation gives what one large batch would.
    """
    model = tail.model
    loss_and_gradient: Any = nn.value_and_grad(model, partial(loss_sum, tail))
    # mx.compile would bake in anything not listed here
    state = [tail.state, optimizer.state, mx.random.state]

    @partial(mx.compile, inputs=state, outputs=state)
    def step(inputs: Inputs, carried: Any, last: bool) -> StepResult:
        (total, targets), gradient = loss_and_gradient(*inputs)
        if carried is not None:
            total, targets = total + carried[0], targets + carried[1]
            gradient = tree_map(lambda new, old: new + old, gradient, carried[2])
        if not last:
            return total, targets, None, (total, targets, gradient)
        gradient = tree_map(lambda summed: summed / targets, gradient)
        gradient, norm = optim.clip_grad_norm(gradient, math.inf if max_grad_norm is None else max_grad_norm)
        optimizer.update(model, gradient)
        return total, targets, norm, None

    def evaluated(inputs: Inputs, carried: Any, last: bool) -> StepResult:
        result = step(inputs, carried, last)
        mx.eval(state, result)
        return result

    return evaluated


def _micro_batches(
    split: Split, settings: TrainConfig, updates_done: int, make: Callable[[Sequence[Row]], Batch]
) -> Iterator[list[Batch]]:
    """The micro-batches of each update to come; a run by epochs ends with its data, not beyond it."""
    done = updates_done * settings.grad_accumulation_steps
    left = math.inf
    if settings.epochs is not None:
        left = math.ceil(settings.epochs * micro_batches_per_epoch(settings, len(split.rows))) - done
    batches = stream(split.rows, settings.batch_size, seed=settings.seed, start=done, make=make)
    while left > 0:
        count = int(min(settings.grad_accumulation_steps, left))
        left -= count
        yield [next(batches) for _ in range(count)]


def _update(
    step_function: StepFunction, micro_batches: Iterator[list[Batch]], step: int, split: Split
) -> tuple[float, int, float]:
    """One optimizer update; returns the summed loss, the number of learned tokens and the gradient's norm."""
    batches = next(micro_batches)
    carried: Any = None
    for batch in batches[:-1]:
        *_, carried = step_function(batch.inputs, carried, False)
    total, targets, norm, _ = step_function(batches[-1].inputs, carried, True)
    assert norm is not None, "the last micro-batch of an update gives it"
    lines = ", ".join(str(line) for batch in batches for line in batch.lines)
    where = f"update {step} (lines {lines} of {split.path.name})"
    _check_finite(total.item(), f"the loss at {where}")
    _check_finite(norm.item(), f"the gradient at {where}")
    return total.item(), int(targets.item()), norm.item()


def _out_of_patience(course: Course, settings: TrainConfig) -> bool:
    return settings.patience is not None and course.stale >= settings.patience


def _check_finite(loss: float, what: str) -> None:
    if not math.isfinite(loss):
        raise HarnessError(
            f"{what} must be a finite number, but is {loss}; lower train.learning_rate or lora.scale, "
            "set train.max_grad_norm=1, or start from an earlier checkpoint with train.init_adapter"
        )


class _Meter:
    """Sums over the updates since the last report, and the seconds of them all."""

    def __init__(self, optimizer: optim.Optimizer, course: Course) -> None:
        self._optimizer = optimizer
        self._loss, self._targets, self._seconds = course.window_loss, course.window_targets, course.window_seconds
        self._all_seconds = course.train_seconds

    def add(self, loss: float, targets: int, seconds: float) -> None:
        self._loss += loss
        self._targets += targets
        self._seconds += seconds
        self._all_seconds += seconds

    def read(self, step: int, grad_norm: float) -> Window:
        rate = float(self._optimizer.learning_rate.item())
        window = Window(step, self._loss / self._targets, grad_norm, rate, self._targets, self._seconds)
        self._loss, self._targets, self._seconds = 0.0, 0, 0.0
        return window

    def scored(self, course: Course, score: Score, *, best: bool) -> Course:
        """The course with one more validation."""
        last = replace(course, last=score, best=score if best else course.best, stale=0 if best else course.stale + 1)
        return self.at(score.step, last)

    def at(self, step: int, course: Course) -> Course:
        """The course with the updates since."""
        return replace(
            course,
            step=step,
            train_seconds=self._all_seconds,
            window_loss=self._loss,
            window_targets=self._targets,
            window_seconds=self._seconds,
        )


def estimated_seconds(start: Score, train_split: Split, valid_split: Split, settings: TrainConfig) -> float:
    """The run's time, from the validation at its start.

    A backward pass through frozen weights costs about a forward one, and checkpointing one more.
    """
    passes = 3 if settings.grad_checkpoint else 2
    trained, validated = computed_positions(train_split, valid_split, settings)
    return start.position_seconds * (passes * trained + validated)


def computed_positions(train_split: Split, valid_split: Split, settings: TrainConfig) -> tuple[float, float]:
    """About how many positions a run computes, padding included: in training, and in validation."""
    updates = total_updates(settings, len(train_split.rows))
    trained = updates * settings.grad_accumulation_steps * settings.batch_size * _mean_width(train_split)
    validations = 1 + math.ceil(updates / math.gcd(settings.steps_per_eval, settings.save_every))
    return trained, validations * len(valid_split.rows) * _mean_width(valid_split)


def _mean_width(split: Split) -> float:
    return sum(bucket_width(len(row.tokens) - 1) for row in split.rows) / len(split.rows)
