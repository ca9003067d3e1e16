"""The loss of a model over a whole split, the same way every time."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from statistics import median

import mlx.core as mx
import numpy as np
from numpy.typing import NDArray

from harness.machine.group import ALONE, Group
from harness.tuning.batches import Batch
from harness.tuning.cut import Tail
from harness.tuning.loss import row_losses


@dataclass(frozen=True)
class Score:
    """`loss`: nats a learned token over the whole split, of the weights after `step` updates.

    `position_seconds`: what a computed position took in the median batch, so that compiling in the first
    ones does not count; of a group, shared by its processes.
    """

    step: int
    loss: float
    seconds: float
    position_seconds: float

    @property
    def perplexity(self) -> float:
        return math.exp(self.loss) if self.loss < 700 else math.inf


@dataclass(frozen=True)
class RowLosses:
    """What a Score is the mean of, by row of the split: `lines` are their numbers in its file, the shortest rows first.

    `sums`: float32 [rows], nats; `targets`: int64 [rows], learned tokens.
    """

    step: int
    lines: NDArray[np.int64]
    sums: NDArray[np.float32]
    targets: NDArray[np.int64]


class Evaluator:
    """Scores a model on fixed batches. Draws no random numbers, so its cadence changes nothing."""

    def __init__(self, tail: Tail, batches: Sequence[Batch], group: Group = ALONE) -> None:
        """Of a group, every process is to have the same batches; each computes its share of them."""
        self._model, self._group = tail.model, group
        self._batches = [
            batch if index % group.size == group.rank else replace(batch, hidden=None)
            for index, batch in enumerate(batches)
        ]
        # compiled over the state: the weights of the moment are inputs, not constants
        each = partial(row_losses, tail)
        self._row_losses = mx.compile(each, inputs=[tail.state]) if tail.compiled else each

    def score(
        self,
        step: int,
        on_batch: Callable[[int, int], None] = lambda done, total: None,
        on_rows: Callable[[RowLosses], None] = lambda rows: None,
    ) -> Score:
        """Evaluate now, telling `on_batch` how many batches of how many are done, and `on_rows` what each row lost.

        Leaves the model in evaluation mode.
        """
        self._model.eval()
        seconds: list[float] = []
        losses = np.zeros(len(self._batches), np.float32)
        sums = [np.zeros(len(batch.lines), np.float32) for batch in self._batches]
        counts = [np.zeros(len(batch.lines), np.int64) for batch in self._batches]
        own = range(self._group.rank, len(self._batches), self._group.size)
        for index in own:
            start = time.perf_counter()
            loss, by_row, targets = self._row_losses(*self._batches[index].scored)
            mx.eval(loss, by_row, targets)
            losses[index] = loss.item()
            sums[index] = np.array(by_row)
            counts[index] = np.array(targets).astype(np.int64)
            seconds.append(time.perf_counter() - start)
            on_batch(min(len(seconds) * self._group.size, len(self._batches)), len(self._batches))
        all_losses, all_sums, all_counts = self._of_all(losses, np.concatenate(sums), np.concatenate(counts))
        lines = np.array([line for batch in self._batches for line in batch.lines], np.int64)
        on_rows(RowLosses(step, lines, all_sums, all_counts))
        each = [spent / self._batches[index].computed for spent, index in zip(seconds, own, strict=True)]
        typical = median(each) / self._group.size if each else 0.0
        total = 0.0
        for each_loss in all_losses.tolist():  # not sum(), which rounds otherwise from Python 3.12 on
            total += each_loss
        return Score(step, total / int(all_counts.sum()), sum(seconds), typical)

    def _of_all(
        self, losses: NDArray[np.float32], sums: NDArray[np.float32], counts: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]:
        """With what the other processes computed, where there are zeros here."""
        if self._group.size == 1:
            return losses, sums, counts
        found = self._group.sum([mx.array(losses), mx.array(sums), mx.array(counts.astype(np.float32))])
        return np.array(found[0]), np.array(found[1]), np.array(found[2]).astype(np.int64)
