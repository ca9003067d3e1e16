"""Updates of several processes: each computes its rows of every micro-batch, the sums of all change the weights.

What is applied is the gradient of the mean over all tokens of the update, as with one process, so the weights are the
same but for rounding. Dropout and noise draw for each process and update anew, so that a resumed run draws the same.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim
import numpy as np
from mlx.utils import tree_flatten, tree_map, tree_unflatten

from harness.config.schema import TrainConfig
from harness.data.dataset import Row, Split
from harness.machine.group import Group
from harness.models.adapter import adapter_weights
from harness.tuning.batches import Batch, Inputs, own_rows
from harness.tuning.cut import Tail
from harness.tuning.loss import loss_sum
from harness.tuning.state import LoopState, course_of, notes_of
from harness.tuning.step import Update, check_update, clipped_update, micro_batch_rows


def begin_alike(group: Group, model: nn.Module, resume: LoopState | None) -> LoopState | None:
    """What the first process begins with, on all: the adapter's weights, or the state that it goes on from."""
    if group.size == 1:
        return resume
    weights = group.share_arrays(adapter_weights(model) if resume is None else resume.weights)
    notes = group.share(None if resume is None else notes_of(resume))
    if notes is None:
        model.load_weights(list(weights.items()), strict=False)
        return None
    optimizer = group.share_arrays({} if resume is None else resume.optimizer)
    course, random = course_of(notes)
    return LoopState(course, weights, optimizer, random)


class Together:
    """The updates still to come. `leaving`: a process was asked to stop, and with the last update all know it."""

    def __init__(
        self,
        tail: Tail,
        optimizer: optim.Optimizer,
        split: Split,
        settings: TrainConfig,
        *,
        group: Group,
        make: Callable[[Sequence[Row]], Batch],
        updates_done: int,
        asked: Callable[[], bool],
    ) -> None:
        self._split, self._settings, self._group, self._make, self._asked = split, settings, group, make, asked
        self._rows = micro_batch_rows(split, settings, updates_done)
        self._trainable = tail.model.trainable_parameters
        self._add, self._apply = _steps(tail, optimizer, max_grad_norm=settings.max_grad_norm)
        self.leaving = False

    def update(self, step: int) -> Update:
        """Change the weights once, on all processes alike.

        Raises:
            DivergedError: on all of them, when the loss or the gradient is not finite.
            LostError: when another process is gone.
        """
        group, batches = self._group, next(self._rows)
        mx.random.seed(_seed(self._settings.seed, step, group.rank))
        zeros = tree_map(lambda value: mx.zeros(value.shape, value.dtype), self._trainable())
        summed: Any = mx.array(0.0), mx.array(0.0), zeros
        for rows in own_rows(batches, rank=group.rank, size=group.size):
            summed = self._add(self._make(rows).inputs, summed)
        named = tree_flatten(summed)
        *values, asked = group.sum([*(value for _, value in named), mx.array(float(self._asked()))])
        names = [name for name, _ in named]
        total, targets, gradient = tree_unflatten(list(zip(names, values, strict=True)))
        learned = sum(row.targets for rows in batches for row in rows)  # `targets` counts each as its row's weight says
        update = Update(total.item() / targets.item() * learned, learned, self._apply(targets, gradient).item())
        check_update(update, step, self._split, [row.line for rows in batches for row in rows])
        self.leaving = asked.item() > 0
        return update


def _steps(
    tail: Tail, optimizer: optim.Optimizer, *, max_grad_norm: float | None
) -> tuple[Callable[[Inputs, Any], Any], Callable[[mx.array, Any], mx.array]]:
    """Compiled: one that adds a micro-batch's loss, targets and gradient to sums, and one that applies sums."""
    model = tail.model
    loss_and_gradient: Any = nn.value_and_grad(model, partial(loss_sum, tail))

    def add(inputs: Inputs, summed: Any) -> Any:
        (total, targets), gradient = loss_and_gradient(*inputs)
        return summed[0] + total, summed[1] + targets, tree_map(lambda new, old: new + old, gradient, summed[2])

    def apply(targets: mx.array, gradient: Any) -> mx.array:
        return clipped_update(model, optimizer, gradient, targets, max_grad_norm=max_grad_norm)

    drawing = [tail.state, mx.random.state]
    changing = [tail.state, optimizer.state]
    if tail.compiled:
        add = mx.compile(add, inputs=drawing, outputs=drawing)
        apply = mx.compile(apply, inputs=changing, outputs=changing)

    def evaluated(step: Callable[..., Any], state: Any) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            result = step(*args)
            mx.eval(state, result)
            return result

        return call

    return evaluated(add, drawing), evaluated(apply, changing)


def _seed(seed: int, step: int, rank: int) -> int:
    return int(np.random.SeedSequence([seed, step, rank]).generate_state(1, np.uint64)[0])
