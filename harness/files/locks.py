"""Locks between processes of one machine, which end with their process, however it ends."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.errors import BusyError
from harness.files.plainly import said_plainly


@contextmanager
def one_at_a_time(lock: Path) -> Iterator[None]:
    """Wait until no other process is inside, then be the one that is."""
    with said_plainly(lock):
        file = lock.open("w")
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def only_process(lock: Path, what: str) -> Iterator[None]:
    """Hold a lock that ends with the process, however it ends.

    Raises:
        BusyError: when another process holds it.
    """
    with lock.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BusyError(f"{what} is in the hands of process {holder(lock)}; wait for it or stop it") from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def holder(lock: Path) -> str:
    """The number of the process that holds a lock of only_process."""
    return lock.read_text("utf-8") or "?"
