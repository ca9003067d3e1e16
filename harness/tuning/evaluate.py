"""The loss of a model over a whole split, the same way every time."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median

import mlx.core as mx
import numpy as np
from numpy.typing import NDArray

from harness.tuning.batches import Batch
from harness.tuning.cut import Tail
from harness.tuning.loss import row_losses


@dataclass(frozen=True)
class Score:
    """`loss`: nats a learned token over the whole split, of the weights after `step` updates.

    `position_seconds`: what a computed position took in the median batch, so that compiling in the first
    ones does not count.
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

    def __init__(self, tail: Tail, batches: Sequence[Batch]) -> None:
        self._model = tail.model
        self._batches = batches
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
        total, count = 0.0, 0
        seconds: list[float] = []
        sums, counts = [], []
        for batch in self._batches:
            start = time.perf_counter()
            loss, by_row, targets = self._row_losses(*batch.scored)
            mx.eval(loss, by_row, targets)
            total += loss.item()
            sums.append(np.array(by_row))
            counts.append(np.array(targets).astype(np.int64))
            count += int(counts[-1].sum())
            seconds.append(time.perf_counter() - start)
            on_batch(len(seconds), len(self._batches))
        lines = np.array([line for batch in self._batches for line in batch.lines], np.int64)
        on_rows(RowLosses(step, lines, np.concatenate(sums), np.concatenate(counts)))
        typical = median(spent / batch.computed for spent, batch in zip(seconds, self._batches, strict=True))
        return Score(step, total / count, sum(seconds), typical)
