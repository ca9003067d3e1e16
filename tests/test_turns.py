"""Tests that are marked `alone` have the machine to themselves."""

import fcntl
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.turns import turn


def _thread(action: Callable[[], Any]) -> threading.Thread:
    thread = threading.Thread(target=action, daemon=True)
    thread.start()
    return thread


def _wait_until_held(lock: Path) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with lock.open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
        time.sleep(0.01)
    raise AssertionError(f"nobody holds {lock.name}")


def test_many_share_and_one_alone_waits_for_them_and_keeps_later_ones_out(tmp_path: Path) -> None:
    order: list[str] = []

    def enter(name: str, alone: bool) -> None:
        with turn(tmp_path, alone=alone):
            order.append(name)

    with turn(tmp_path, alone=False):
        _thread(lambda: enter("beside", False)).join(timeout=10)
        waiting = _thread(lambda: enter("alone", True))
        _wait_until_held(tmp_path / "door")
        later = _thread(lambda: enter("later", False))
        later.join(timeout=0.1)
        assert order == ["beside"]
    waiting.join(timeout=10)
    later.join(timeout=10)
    assert order == ["beside", "alone", "later"]
