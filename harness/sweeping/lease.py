"""Who works on a trial: a process by its host, id and start time, so that an id used again is not trusted.

Of a process on another machine nothing is known but that it goes on beating.
"""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psutil

Lease = dict[str, Any]


def own_lease(watcher: int | None = None) -> Lease:
    """`watcher`: the id of the process that watches over this one."""
    lease = {"host": socket.gethostname(), "pid": os.getpid(), "started": psutil.Process().create_time()}
    with suppress(psutil.NoSuchProcess):
        return lease | {"watcher": watcher, "watching_since": watcher and psutil.Process(watcher).create_time()}
    return lease


def is_here(lease: Lease) -> bool:
    return bool(lease["host"] == socket.gethostname())


def is_gone(lease: Lease | None) -> bool:
    """Whether its process, of this machine, is there no more."""
    if lease is None:
        return True
    try:
        return abs(psutil.Process(lease["pid"]).create_time() - lease["started"]) > 1.0
    except psutil.NoSuchProcess:
        return True


def watcher_lives(lease: Lease) -> bool:
    """Whether the process that watched over its own, on this machine, is there still."""
    since = lease.get("watching_since")
    return since is not None and not is_gone({"pid": lease["watcher"], "started": since})


class Silences:
    """Which of other machines' processes have stopped to beat, by this machine's own clock."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._heard: dict[int, tuple[Any, float]] = {}
        self._changed: set[int] = set()

    def is_silent(self, trial: int, beat: Any) -> bool:
        """Whether `beat` has not changed for that long while this was asked."""
        last = self._heard.get(trial)
        if last is None or last[0] != beat:
            if last is not None:
                self._changed.add(trial)
            self._heard[trial] = (beat, time.monotonic())
            return False
        return time.monotonic() - last[1] > self._seconds

    def was_heard(self, trial: int) -> bool:
        """Whether it was there while this was asked: a beat followed another."""
        return trial in self._changed


@contextmanager
def beating(beat: Callable[[int], object], seconds: float) -> Iterator[None]:
    """Call `beat` with a growing number every so often, from a thread, until the end."""
    over = threading.Event()

    def work() -> None:
        count = 0
        while not over.wait(seconds):
            count += 1
            with suppress(Exception):  # the storage's; it is silence only if it lasts
                beat(count)

    thread = threading.Thread(target=work, name="beating", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
