"""What the processes of a sweep know of each other through the one that watches over them. Nothing heavy here."""

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import RawIOBase

from harness.console.worker_environment import CONTROLLER, DEATHS, WORKER, WORKERS


@dataclass(frozen=True)
class Death:
    """How a process ended. `final`: its trial is not to be taken up again."""

    pid: int
    reason: str
    final: bool = False


class Deaths:
    """Which processes have ended, and how: said by the one that watches, in a file that has no name.

    So nobody can clean it away, and nothing is left of it, however that one ends.
    """

    def __init__(self, file: RawIOBase) -> None:
        self._file = file

    @property
    def descriptor(self) -> int:
        """For other processes to read it by."""
        return self._file.fileno()

    def add(self, death: Death) -> None:
        """Raises: OSError when the disk is full."""
        self._file.write(f"{death.pid} {int(death.final)} {death.reason}\n".encode())


@contextmanager
def deaths_kept() -> Iterator[Deaths]:
    with tempfile.TemporaryFile(buffering=0) as file:
        yield Deaths(file)


class Siblings:
    """The processes that one process watches over, as one of them sees it; none where nobody watches."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.controller = int(environment[CONTROLLER]) if CONTROLLER in environment else None
        self.index = int(environment.get(WORKER, "0"))
        self.count = int(environment.get(WORKERS, "1"))
        self._deaths = int(environment[DEATHS]) if DEATHS in environment else None

    @property
    def deaths(self) -> list[Death]:
        """Those that have ended so far."""
        if self._deaths is None:
            return []
        whole, _, _ = os.pread(self._deaths, os.fstat(self._deaths).st_size, 0).rpartition(b"\n")
        return [_read(line) for line in whole.decode().splitlines()]

    def death_of(self, pid: int) -> Death | None:
        return next((death for death in self.deaths if death.pid == pid), None)

    @property
    def controller_is_gone(self) -> bool:
        return self.controller is not None and os.getppid() != self.controller


def _read(line: str) -> Death:
    pid, final, reason = line.split(" ", 2)
    return Death(int(pid), reason, final == "1")
