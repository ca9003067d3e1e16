"""Everything that the loop needs to go on as if it had never stopped, as one file.

The data cursor is not in it: the batches follow from the seed and the step.
"""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlx.nn as nn
import mlx.optimizers as optim
from mlx.utils import tree_flatten, tree_unflatten

from harness.errors import DamagedError, reason
from harness.models.adapter import adapter_weights
from harness.models.randomness import get_state, set_state
from harness.models.tensors import Arrays, load_arrays, save_arrays
from harness.tuning.evaluate import Score


@dataclass(frozen=True)
class Course:
    """How far a run has come: updates, scores so far, seconds of training, and sums since the last report.

    `stale`: validations since the best one.
    """

    step: int
    start: Score
    last: Score
    best: Score
    stale: int
    train_seconds: float
    window_loss: float
    window_targets: int
    window_seconds: float

    @classmethod
    def beginning(cls, start: Score) -> "Course":
        """Before the first update."""
        return cls(
            step=0,
            start=start,
            last=start,
            best=start,
            stale=0,
            train_seconds=0.0,
            window_loss=0.0,
            window_targets=0,
            window_seconds=0.0,
        )


@dataclass(frozen=True)
class LoopState:
    """`random`: MLX's random state as one seed; see models.randomness."""

    course: Course
    weights: Arrays
    optimizer: Arrays
    random: int


def capture(model: nn.Module, optimizer: optim.Optimizer, course: Course) -> LoopState:
    return LoopState(course, adapter_weights(model), dict(tree_flatten(optimizer.state)), get_state())


def restore(state: LoopState, model: nn.Module, optimizer: optim.Optimizer) -> None:
    """Put weights, optimizer and MLX's random state back, exactly."""
    model.load_weights(list(state.weights.items()), strict=False)
    optimizer.state = tree_unflatten(list(state.optimizer.items()))
    set_state(state.random)


def save_state(path: Path, state: LoopState) -> None:
    """Written whole and sealed, then renamed: the file is always one whole state."""
    arrays = {f"weights/{key}": value for key, value in state.weights.items()}
    arrays |= {f"optimizer/{key}": value for key, value in state.optimizer.items()}
    save_arrays(path, arrays, notes_of(state))


def notes_of(state: LoopState) -> dict[str, str]:
    """What of a state is no array."""
    return {"course": json.dumps(dataclasses.asdict(state.course)), "random": str(state.random)}


def course_of(notes: Mapping[str, str]) -> tuple[Course, int]:
    """The course and the random state.

    Raises:
        ValueError, KeyError, TypeError: for other notes than those of `notes_of`.
    """
    course = json.loads(notes["course"])
    scores: dict[str, Any] = {name: Score(**course.pop(name)) for name in ("start", "last", "best")}
    return Course(**scores, **course), int(notes["random"])


def load_state(path: Path) -> LoopState:
    """Read what `save_state` wrote.

    Raises:
        DamagedError: when the file is not what was written.
    """
    try:
        arrays, notes = load_arrays(path)
        course, random = course_of(notes)
        return LoopState(course, _under("weights/", arrays), _under("optimizer/", arrays), random)
    except (DamagedError, ValueError, KeyError, TypeError) as error:
        why = error.why if isinstance(error, DamagedError) else reason(error)
        raise DamagedError(
            path,
            f"is not a readable training state, so the run cannot go on: it {why}",
            "start it anew, or from its last checkpoint with train.init_adapter",
        ) from error


def _under(prefix: str, arrays: Arrays) -> Arrays:
    return {key.removeprefix(prefix): value for key, value in arrays.items() if key.startswith(prefix)}
