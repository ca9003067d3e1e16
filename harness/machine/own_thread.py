"""A thread for what belongs into one alone, or takes its time: one thing after the other. Does not know what it does.

It holds up no end: a registry that does not answer would, were it waited for. One that has computed with MLX is not to
be closed: its streams are its own, and where it ends as Python does the process may abort.
"""

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

Result = TypeVar("Result")


class OwnThread:
    def __init__(self, name: str) -> None:
        self._inbox: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        threading.Thread(target=self._work, name=name, daemon=True).start()

    def do(self, what: Callable[[], Result]) -> Future[Result]:
        """What it gives, or ends with, once it is its turn."""
        return promised(what, self._inbox.put)

    def close(self) -> None:
        """It ends after what it is about."""
        self._inbox.put(None)

    def _work(self) -> None:
        while (do := self._inbox.get()) is not None:
            do()
            del do  # and what it knows


def promised(what: Callable[[], Result], put: Callable[[Callable[[], None]], None]) -> Future[Result]:
    """What another thread is to do, `put` to it."""
    future: Future[Result] = Future()

    def do() -> None:
        if not future.set_running_or_notify_cancel():
            return
        try:
            future.set_result(what())
        except BaseException as error:  # it is the caller's
            future.set_exception(error)

    put(do)
    return future
