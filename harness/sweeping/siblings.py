"""What the processes of a sweep know of each other through the one that watches over them. Nothing heavy here."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

CONTROLLER = "HARNESS_CONTROLLER"  # the id of the process that watches over this one
WORKER = "HARNESS_WORKER"  # which of its processes this one is, from 0
WORKERS = "HARNESS_WORKERS"  # how many it has
COMMAND = "HARNESS_COMMAND"  # the words of that one's own command
DEATHS = "HARNESS_DEATHS"  # the file in which it says which of its processes have ended, and how


@dataclass(frozen=True)
class Death:
    """How a process ended. `final`: its trial is not to be taken up again."""

    pid: int
    reason: str
    final: bool = False


class Siblings:
    """The processes that one process watches over, as one of them sees it; none where nobody watches."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.controller = int(environment[CONTROLLER]) if CONTROLLER in environment else None
        self.index = int(environment.get(WORKER, "0"))
        self.count = int(environment.get(WORKERS, "1"))
        self._deaths = Path(environment[DEATHS]) if DEATHS in environment else None

    @property
    def deaths(self) -> list[Death]:
        """Those that have ended so far."""
        if self._deaths is None or not self._deaths.exists():
            return []
        lines = self._deaths.read_text("utf-8").splitlines()
        return [_read(line) for line in lines]

    def death_of(self, pid: int) -> Death | None:
        return next((death for death in self.deaths if death.pid == pid), None)

    @property
    def controller_is_gone(self) -> bool:
        return self.controller is not None and os.getppid() != self.controller


def write_death(file: Path, death: Death) -> None:
    with file.open("a", encoding="utf-8") as deaths:
        deaths.write(f"{death.pid} {int(death.final)} {death.reason}\n")


def _read(line: str) -> Death:
    pid, final, reason = line.split(" ", 2)
    return Death(int(pid), reason, final == "1")
