"""What training was like since the last report. Knows nothing of how an update is made."""

from dataclasses import dataclass, replace

import mlx.optimizers as optim

from harness.tuning.evaluate import Score
from harness.tuning.state import Course
from harness.tuning.step import Update


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


class Meter:
    """Sums over the updates since the last report, and the seconds of them all."""

    def __init__(self, optimizer: optim.Optimizer, course: Course) -> None:
        self._optimizer = optimizer
        self._loss, self._targets, self._seconds = course.window_loss, course.window_targets, course.window_seconds
        self._all_seconds = course.train_seconds

    def add(self, update: Update, seconds: float) -> None:
        self._loss += update.loss
        self._targets += update.targets
        self._seconds += seconds
        self._all_seconds += seconds

    @property
    def unread(self) -> bool:
        """Whether there were updates since the last report."""
        return self._targets > 0

    def read(self, step: int, grad_norm: float) -> Window:
        window = Window(
            step=step,
            loss=self._loss / self._targets,
            grad_norm=grad_norm,
            learning_rate=float(self._optimizer.learning_rate.item()),
            targets=self._targets,
            seconds=self._seconds,
        )
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
