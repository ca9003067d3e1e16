"""What a process of a sweep is told by the one that watches over it, through the environment. Nothing heavy here."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

CONTROLLER = "HARNESS_CONTROLLER"  # the id of the process that watches over this one
WORKER = "HARNESS_WORKER"  # which of its processes this one is, from 0
COMMAND = "HARNESS_COMMAND"  # the words of that one's own command
DIED = "HARNESS_DIED"  # how the one before this one ended: see Death


@dataclass(frozen=True)
class Death:
    """How the process before this one ended. `final`: its trial is not to be taken up again."""

    pid: int
    reason: str
    final: bool

    @property
    def words(self) -> str:
        """For the environment; `last_death` reads it."""
        return f"{self.pid} {int(self.final)} {self.reason}"


def last_death(environment: Mapping[str, str]) -> Death | None:
    if DIED not in environment:
        return None
    pid, final, reason = environment[DIED].split(" ", 2)
    return Death(int(pid), reason, final == "1")


def controller_is_gone() -> bool:
    """Whether the process that watched over this one is not there any more."""
    return CONTROLLER in os.environ and os.getppid() != int(os.environ[CONTROLLER])
