"""The loss of a model over a whole split, the same way every time."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import mlx.core as mx
import mlx.nn as nn

from harness.tuning.batches import Batch
from harness.tuning.loss import loss_sum


@dataclass(frozen=True)
class Score:
    """`loss`: nats a learned token over the whole split, of the weights after `step` updates.

    `computed`: positions the model computed for it, padding included; with `seconds`, a speed.
    """

    step: int
    loss: float
    seconds: float
    computed: int

    @property
    def perplexity(self) -> float:
        return math.exp(self.loss) if self.loss < 700 else math.inf


class Evaluator:
    """Scores a model on fixed batches. Draws no random numbers, so its cadence changes nothing."""

    def __init__(self, model: nn.Module, batches: Sequence[Batch]) -> None:
        self._model = model
        self._batches = batches
        # compiled over the model's state: the weights of the moment are inputs, not constants
        self._loss_sum = mx.compile(lambda tokens, learn: loss_sum(model, tokens, learn), inputs=[model.state])

    def score(self, step: int, advance: Callable[[], None] = lambda: None) -> Score:
        """Evaluate now; `advance` is called after each batch. Leaves the model in evaluation mode."""
        start = time.perf_counter()
        self._model.eval()
        total, count = 0.0, 0
        for batch in self._batches:
            loss, targets = self._loss_sum(batch.tokens, batch.learn)
            total += loss.item()
            count += int(targets.item())
            advance()
        computed = sum(batch.computed for batch in self._batches)
        return Score(step, total / count, time.perf_counter() - start, computed)
