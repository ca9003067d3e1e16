"""A thread beside the event loop, for what takes its time: one thing after the other. Knows nothing of what it does.

It holds up no end: a registry that does not answer would, were it waited for.
"""

import asyncio
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

Result = TypeVar("Result")


class Background:
    def __init__(self, name: str) -> None:
        self._inbox: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        threading.Thread(target=self._work, name=name, daemon=True).start()

    async def do(self, what: Callable[[], Result]) -> Result:
        """What it gives, or ends with."""
        return await asyncio.wrap_future(promised(what, self._inbox.put))

    def close(self) -> None:
        """It ends after what it is about."""
        self._inbox.put(None)

    def _work(self) -> None:
        while (do := self._inbox.get()) is not None:
            do()


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
