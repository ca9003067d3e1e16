"""Which tests run at once, where several processes test: those marked `alone` beside no other.

Knows nothing of pytest; the locks are files that all processes of a session see.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def turn(folder: Path, *, alone: bool) -> Iterator[None]:
    """Hold the room with others, or by oneself. Who waits for it keeps the door, so that nobody slips in before."""
    with (folder / "room").open("a") as room:
        with (folder / "door").open("a") as door:
            fcntl.flock(door, fcntl.LOCK_EX)
            fcntl.flock(room, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        yield
