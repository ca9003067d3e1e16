"""A thread beside the event loop, for what takes its time: one thing after the other. Knows nothing of what it does."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from harness.machine.own_thread import OwnThread

Result = TypeVar("Result")


class Background:
    def __init__(self, name: str) -> None:
        self._thread = OwnThread(name)

    async def do(self, what: Callable[[], Result]) -> Result:
        """What it gives, or ends with."""
        return await asyncio.wrap_future(self._thread.do(what))

    def close(self) -> None:
        """It ends after what it is about."""
        self._thread.close()
