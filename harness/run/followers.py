"""What the first process tells the others that train with it, while they wait for it (see follow.py).

It alone tracks, saves, writes and judges. Knows nothing of what they all train.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum

from harness.errors import HarnessError, LostError
from harness.machine.group import Group
from harness.run.identity import Parts, differences

# where weights come from: the first process hands out those
_OF_THE_FIRST = ("start",)


class Order(StrEnum):
    CHECK = "check"
    TRAIN = "train"
    END = "end"


class Followers:
    """The other processes of a group; of one process alone, none."""

    def __init__(self, group: Group) -> None:
        self.group = group
        self._waiting = group.size > 1
        self._launcher = os.getppid()

    def why_to_leave(self) -> str | None:
        """That mlx.launch is gone, which would leave them training with nobody to end them."""
        if self.group.size > 1 and os.getppid() != self._launcher:
            return "interrupted: mlx.launch is gone"
        return None

    def check(self, parts: Parts) -> None:
        """Whether each of them starts from the same; `parts`: what determines the weights.

        Raises:
            HarnessError: for the first that does not, and why.
        """
        if not self._waiting:
            return
        self.group.share(Order.CHECK)
        for rank, (error, theirs) in enumerate(self.group.gather(answer(None, parts))):
            where = f"process {rank + 1} of {self.group.size}"
            if error is not None:
                raise HarnessError(f"{where}: {error}")
            if theirs != answer(None, parts)[1]:
                raise HarnessError(
                    f"all processes must start from the same, but of {where} {differences(parts, theirs)}; "
                    "give each machine the same checkout, base and data"
                )

    def train(self) -> None:
        """They begin to train, now."""
        self._tell(Order.TRAIN)

    def end(self) -> None:
        """Nothing is left for them to do."""
        self._tell(Order.END)

    def _tell(self, order: Order) -> None:
        if self._waiting:
            self._waiting = False
            self.group.share(order)

    @contextmanager
    def led(self) -> Iterator[None]:
        """However what is inside ends, nobody waits for it any more."""
        try:
            yield
        finally:
            with suppress(LostError):
                self.end()


def answer(error: str | None, parts: Parts) -> tuple[str | None, Parts]:
    """What a process says when it is to check what it starts from."""
    return error, {name: value for name, value in parts.items() if name not in _OF_THE_FIRST}
