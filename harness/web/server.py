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


def serve(
    app: App,
    listener: socket.socket,
    *,
    ending: Callable[[], None] = lambda: None,
    busy: Callable[[], bool] = lambda: False,
    grace_seconds: float = 0.0,
) -> None:
    """Until a Ctrl-C or SIGTERM. Then `ending` is told, and as long as the app is `busy` it goes on answering, up to
    `grace_seconds`, or until it is asked again."""
    try:
        _Server(app, ending, busy, grace_seconds).run(sockets=[listener])
    except KeyboardInterrupt:  # which is how it ends
        return


class _Server(uvicorn.Server):
    def __init__(self, app: App, ending: Callable[[], None], busy: Callable[[], bool], grace_seconds: float) -> None:
        config = uvicorn.Config(
            app,  # type: ignore[arg-type]
            log_level="warning",
            access_log=False,
            server_header=False,
            lifespan="off",
            ws="none",
            timeout_graceful_shutdown=_CUT_SECONDS,
        )
        super().__init__(config)
        self._ending, self._busy, self._grace = ending, busy, grace_seconds
        self._until: float | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self._until is None:
            self._until = time.monotonic() + self._grace
            self._captured_signals.append(sig)
            self._ending()
        else:
            super().handle_exit(sig, frame)

    async def on_tick(self, counter: int) -> bool:
        if self._until is not None and (not self._busy() or time.monotonic() >= self._until):
            self.should_exit = True
        return await super().on_tick(counter)
