"""Ctrl-C once: what is under way is brought to where it can be gone on from. Twice: at once."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def gentle_interrupt(say: Callable[[str], None]) -> Iterator[Callable[[], bool]]:
    """Inside, the first Ctrl-C only makes the function given answer true; the second is a KeyboardInterrupt.

    Where Ctrl-C means something else already, or in another thread than the main one, nothing is changed.
    """
    here = threading.current_thread() is threading.main_thread()
    if not here or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield lambda: False
        return
    asked = False

    def first(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        asked = True
        signal.signal(signal.SIGINT, signal.default_int_handler)
        say("stopping after this update; Ctrl-C again: at once")

    signal.signal(signal.SIGINT, first)
    try:
        yield lambda: asked
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
