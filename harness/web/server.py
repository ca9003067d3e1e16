"""uvicorn around an app: from a listening socket to an end that lets go of nobody in the middle of an answer.

Knows nothing of what is served.
"""

import socket
import time
from collections.abc import Callable
from types import FrameType

import uvicorn

from harness.web.guard import App

_CUT_SECONDS = 2  # for connections to end once there is nothing more to wait for


def _nothing() -> None:
    return


class Server(uvicorn.Server):
    """`begun` is called in the event loop before it answers. When it is asked to end, `ending` is told, and as long as
    the app is `busy` it goes on answering, up to `grace_seconds`, or until it is asked again: then `cutting` is told,
    and what is still under way has a moment to say so."""

    def __init__(
        self,
        app: App,
        *,
        begun: Callable[[], None] = _nothing,
        ending: Callable[[], None] = _nothing,
        cutting: Callable[[], None] = _nothing,
        busy: Callable[[], bool] = lambda: False,
        grace_seconds: float = 0.0,
    ) -> None:
        config = uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            server_header=False,
            lifespan="off",
            ws="none",
            timeout_graceful_shutdown=_CUT_SECONDS,
        )
        super().__init__(config)
        self._begun, self._ending, self._cutting = begun, ending, cutting
        self._busy, self._grace = busy, grace_seconds
        self._until: float | None = None

    def serve_on(self, listener: socket.socket) -> None:
        """Until a Ctrl-C, SIGTERM or `end`."""
        try:
            self.run(sockets=[listener])
        except KeyboardInterrupt:  # which is how it ends
            return

    def end(self) -> None:
        """As a signal does; from any thread."""
        if self._until is None:
            self._until = time.monotonic() + self._grace
            self._ending()
        else:
            self._until = time.monotonic()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._captured_signals.append(sig)
        self.end()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._begun()
        await super().startup(sockets)

    async def on_tick(self, counter: int) -> bool:
        if self._until is not None and not self.should_exit:
            self.should_exit = not self._busy()
            if not self.should_exit and time.monotonic() >= self._until:
                self._cutting()
                self.should_exit = True
        return await super().on_tick(counter)
