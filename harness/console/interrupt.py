"""Requests to end: Ctrl-C, and SIGTERM and SIGHUP as a Ctrl-C from elsewhere (Slurm, docker stop, a closed terminal).

Once: what is under way is brought to where it can be gone on from. Again: at once. Knows nothing of what is under way.
"""

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_REQUESTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# a terminal that closes is told of by the kernel and by its shell, a job that is cancelled to each of its processes
_ONE_REQUEST_SECONDS = 2.0

Leave = Callable[[], str | None]


class Interrupted(KeyboardInterrupt):
    """What is under way ends by no fault of its own. `why`: for a run's record; `exit_code`: as shells have it."""

    def __init__(self, why: str, number: int = signal.SIGINT) -> None:
        super().__init__(why)
        self.why, self.exit_code = why, 128 + number


def interrupted_by(number: int) -> Interrupted:
    """By a signal."""
    name = signal.Signals(number).name
    return Interrupted("interrupted from the keyboard" if number == signal.SIGINT else f"interrupted by {name}", number)


def told(error: KeyboardInterrupt) -> Interrupted:
    """What an interruption says of itself; one that Python raised comes from the keyboard."""
    return error if isinstance(error, Interrupted) else interrupted_by(signal.SIGINT)


class _Handler:
    """The one handler of all requests. What it does about one is `heed`; at first, to raise it where it strikes."""

    def __init__(self) -> None:
        self.heed: Callable[[int], None] = _raise
        self._last = -math.inf

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if number != signal.SIGINT:
            if time.monotonic() - self._last < _ONE_REQUEST_SECONDS:
                return
            self._last = time.monotonic()
        self.heed(number)

    @contextmanager
    def heeding(self, heed: Callable[[int], None]) -> Iterator[None]:
        former, self.heed = self.heed, heed
        try:
            yield
        finally:
            self.heed = former


@contextmanager
def requests_heeded() -> Iterator[_Handler]:
    """Inside, each request is an Interrupted.

    What is ignored (SIGHUP under nohup) or means something else already stays as it is; so does all in another thread
    than the main one.
    """
    former = {number: signal.getsignal(number) for number in _REQUESTS}
    inner = next((handler for handler in former.values() if isinstance(handler, _Handler)), None)
    if inner is not None or threading.current_thread() is not threading.main_thread():
        yield inner or _Handler()
        return
    handler = _Handler()
    usual = [number for number in _REQUESTS if former[number] in (signal.SIG_DFL, signal.default_int_handler)]
    for number in usual:
        signal.signal(number, handler)
    try:
        yield handler
    finally:
        for number in usual:
            signal.signal(number, former[number])


@contextmanager
def gentle_interrupt(say: Callable[[str], None], leave: Leave = lambda: None) -> Iterator[Callable[[], bool]]:
    """Inside, the first request only makes the function given answer true; the second is an Interrupted.

    `leave` is asked with it: another reason to stop, if there is one.

    Raises:
        Interrupted: once a request was made, for whatever ends this; also when nothing had the time to heed it.
    """
    request: Interrupted | None = None

    def first(number: int) -> None:
        nonlocal request
        if request is not None:
            raise interrupted_by(number)
        request = interrupted_by(number)
        keyboard = number == signal.SIGINT
        say(f"{'' if keyboard else f'{request.why}: '}stopping after this update; Ctrl-C again: at once")

    def asked() -> bool:
        nonlocal request
        if request is None and (why := leave()) is not None:
            request = Interrupted(why)
        return request is not None

    with requests_heeded() as handler, handler.heeding(first):
        try:
            yield asked
        except KeyboardInterrupt as error:
            if request is None or isinstance(error, Interrupted):
                raise
        if request is not None:
            raise request


@contextmanager
def requests_collected() -> Iterator[list[int]]:
    """Inside, requests are only put on the list, for one that watches over others to pass them on."""
    collected: list[int] = []
    with requests_heeded() as handler, handler.heeding(collected.append):
        yield collected


def _raise(number: int) -> None:
    raise interrupted_by(number)
