"""What tests do at an update of a run: interrupt it, count it, take its server away.

A run alone is told by its hooks; the runs of a sweep by the display that all of them have.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count

from harness.console.progress import Display
from harness.run.context import RunHooks


def interrupt() -> None:
    """Ctrl-C for the second time: nothing more is saved."""
    raise KeyboardInterrupt


def at_update(step: int, do: Callable[[], object]) -> RunHooks:
    """For a run from its beginning: do it after this update, but the last."""
    updates = count(1)

    def leave() -> None:
        if next(updates) == step:
            do()

    return RunHooks(leave=leave)


class Acting(Display):
    """Does something after each update, given the run's name and the update's number."""

    def __init__(self, act: Callable[[str, int], object]) -> None:
        super().__init__()
        self._act, self._name = act, ""

    @contextmanager
    def updates(self, total: int, label: str) -> Iterator[None]:
        self._name = label
        with super().updates(total, label):
            yield

    def update(
        self, step: int, *, loss: float | None = None, valid: float | None = None, speed: float | None = None
    ) -> None:
        super().update(step, loss=loss, valid=valid, speed=speed)
        if loss is not None and speed is None:  # else it is a report or a validation
            self._act(self._name, step)


class Counting(Acting):
    """Keeps the updates that are trained, as they come."""

    def __init__(self) -> None:
        self.seen: list[int] = []
        super().__init__(lambda name, step: self.seen.append(step))


def interrupting(name: str, step: int) -> Acting:
    """Interrupts the run of that name at this update."""

    def act(run: str, update: int) -> None:
        if (run, update) == (name, step):
            interrupt()

    return Acting(act)
