"""A watcher that keeps what a loop tells."""

import mlx.core as mx

from harness.tuning.evaluate import RowLosses, Score
from harness.tuning.meter import Window
from harness.tuning.state import LoopState

Weights = dict[str, mx.array]


class Recorder:
    """Keeps all that the loop tells."""

    def __init__(self) -> None:
        self.losses: list[float] = []
        self.windows: list[Window] = []
        self.scores: list[Score] = []
        self.saved: dict[int, Weights] = {}
        self.states: dict[int, LoopState] = {}
        self.best: list[int] = []
        self.rows: list[RowLosses] = []

    def on_update(self, step: int, loss: float) -> None:
        self.losses.append(loss)

    def on_window(self, window: Window) -> None:
        self.windows.append(window)

    def on_validating(self, done: int, total: int) -> None:
        assert 1 <= done <= total

    def on_interrupt(self, state: LoopState) -> None:
        self.left = state

    def on_rows(self, rows: RowLosses) -> None:
        self.rows.append(rows)

    def on_score(self, score: Score, state: LoopState | None, *, best: bool) -> None:
        self.scores.append(score)
        if state is not None:
            self.saved[score.step] = state.weights
            self.states[score.step] = state
        if best:
            self.best.append(score.step)
