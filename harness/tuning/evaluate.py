"""The loss of a model over a whole split, the same way every time."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median

import mlx.core as mx

from harness.tuning.batches import Batch
from harness.tuning.cut import Tail
from harness.tuning.loss import loss_sum


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


class Evaluator:
    """Scores a model on fixed batches. Draws no random numbers, so its cadence changes nothing."""

    def __init__(self, tail: Tail, batches: Sequence[Batch]) -> None:
        self._model = tail.model
        self._batches = batches
        # compiled over the state: the weights of the moment are inputs, not constants
        whole = partial(loss_sum, tail)
        self._loss_sum = mx.compile(whole, inputs=[tail.state]) if tail.compiled else whole

    def score(self, step: int, on_batch: Callable[[int, int], None] = lambda done, total: None) -> Score:
        """Evaluate now, telling `on_batch` how many batches of how many are done.

        Leaves the model in evaluation mode.
        """
        self._model.eval()
        total, count = 0.0, 0
        seconds = []
        for batch in self._batches:
            start = time.perf_counter()
            loss, targets = self._loss_sum(*batch.inputs)
            total += loss.item()
            count += int(targets.item())
            seconds.append(time.perf_counter() - start)
            on_batch(len(seconds), len(self._batches))
        typical = median(spent / batch.computed for spent, batch in zip(seconds, self._batches, strict=True))
        return Score(step, total / count, sum(seconds), typical)
