"""One optimizer update: micro-batches in, weights changed. Knows nothing of validations, reports or when to end."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim
from mlx.utils import tree_map

from harness.config.checks import micro_batches_per_epoch
from harness.config.schema import TrainConfig
from harness.data.dataset import Row, Split
from harness.errors import DivergedError
from harness.tuning.batches import Batch, Inputs, stream_rows
from harness.tuning.cut import Tail
from harness.tuning.loss import loss_sum

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

    def plain(inputs: Inputs, carried: Any, last: bool) -> StepResult:
        (total, targets), gradient = loss_and_gradient(*inputs)
        if carried is not None:
            total, targets = total + carried[0], targets + carried[1]
            gradient = tree_map(lambda new, old: new + old, gradient, carried[2])
        if not last:
            return total, targets, None, (total, targets, gradient)
        norm = clipped_update(model, optimizer, gradient, targets, max_grad_norm=max_grad_norm)
        return total, targets, norm, None

    step = mx.compile(plain, inputs=state, outputs=state) if tail.compiled else plain

    def evaluated(inputs: Inputs, carried: Any, last: bool) -> StepResult:
        result = step(inputs, carried, last)
        mx.eval(state, result)
        return result

    return evaluated


def clipped_update(
    model: nn.Module, optimizer: optim.Optimizer, gradient: Any, targets: mx.array, *, max_grad_norm: float | None
) -> mx.array:
    """Apply a gradient that was summed over `targets` tokens. Returns the norm of their mean, before it is clipped."""
    gradient = tree_map(lambda summed: summed / targets, gradient)
    gradient, norm = optim.clip_grad_norm(gradient, math.inf if max_grad_norm is None else max_grad_norm)
    optimizer.update(model, gradient)
    return norm


def micro_batches(
    split: Split, settings: TrainConfig, updates_done: int, make: Callable[[Sequence[Row]], Batch]
) -> Iterator[list[Batch]]:
    """The micro-batches of each update to come; a run by epochs ends with its data, not beyond it."""
    for update in micro_batch_rows(split, settings, updates_done):
        yield [make(rows) for rows in update]


def micro_batch_rows(split: Split, settings: TrainConfig, updates_done: int) -> Iterator[list[list[Row]]]:
    """Their rows."""
    done = updates_done * settings.grad_accumulation_steps
    left = math.inf
    if settings.epochs is not None:
        left = math.ceil(settings.epochs * micro_batches_per_epoch(settings, len(split.rows))) - done
    batches = stream_rows(split.rows, settings.batch_size, seed=settings.seed, start=done)
    while left > 0:
        count = int(min(settings.grad_accumulation_steps, left))
        left -= count
        yield [next(batches) for _ in range(count)]


@dataclass(frozen=True)
class Update:
    """What an update saw. `loss`: summed over `targets` learned tokens; `grad_norm`: before it was clipped."""

    loss: float
    targets: int
    grad_norm: float


def one_update(step_function: StepFunction, batches: Sequence[Batch], step: int, split: Split) -> Update:
    """The micro-batches of one update, the last of which applies it.

    Raises:
        DivergedError: when the loss or the gradient is not finite.
    """
    carried: Any = None
    for batch in batches[:-1]:
        *_, carried = step_function(batch.inputs, carried, False)
    total, targets, norm, _ = step_function(batches[-1].inputs, carried, True)
    assert norm is not None, "the last micro-batch of an update gives it"
    learned = int(targets.item())
    total_loss = total.item()
    if batches[0].weights is not None:
        # `targets` is the sum of the tokens' weights here: the mean counts for as many tokens as were learned
        learned = sum(int(batch.learn.sum().item()) for batch in batches)
        total_loss = total.item() / targets.item() * learned
    update = Update(total_loss, learned, norm.item())
    check_update(update, step, split, [line for batch in batches for line in batch.lines])
    return update


def check_update(update: Update, step: int, split: Split, lines: Sequence[int]) -> None:
    """Raises DivergedError, which names the update's lines."""
    where = f"update {step} (lines {', '.join(map(str, lines))} of {split.path.name})"
    check_finite(update.loss, f"the loss at {where}")
    check_finite(update.grad_norm, f"the gradient at {where}")


def check_finite(loss: float, what: str) -> None:
    if not math.isfinite(loss):
        raise DivergedError(
            f"{what} must be a finite number, but is {loss}; lower train.learning_rate or lora.scale, "
            "set train.max_grad_norm=1, or start from an earlier checkpoint with train.init_adapter"
        )
