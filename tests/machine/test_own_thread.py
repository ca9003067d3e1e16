"""What belongs into one thread is done there, one thing after the other."""

import threading
import time
import weakref
from collections.abc import Callable

import pytest

from harness.machine.own_thread import OwnThread


class _Heavy:
    """Something that takes memory."""


def _soon(so: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 5
    while not so() and time.monotonic() < deadline:
        time.sleep(0.01)
    return so()


def test_all_is_done_in_one_thread_and_an_error_is_the_callers() -> None:
    thread = OwnThread("own")
    assert {thread.do(threading.get_ident).result() for _ in range(3)} != {threading.get_ident()}
    with pytest.raises(ZeroDivisionError):
        thread.do(lambda: 1 / 0).result()
    assert thread.do(lambda: 1).result() == 1
    thread.close()


def test_what_it_did_is_let_go_of_while_it_waits() -> None:
    thread, heavy = OwnThread("own"), _Heavy()
    gone = weakref.ref(heavy)
    thread.do(lambda heavy=heavy: None).result()  # type: ignore[misc]
    del heavy
    assert _soon(lambda: gone() is None)
    thread.close()
