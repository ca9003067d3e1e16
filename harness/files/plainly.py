"""What keeps a file from being written, said with the next step."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.errors import WriteError


@contextmanager
def said_plainly(path: Path) -> Iterator[None]:
    """What keeps a file from being written, as a WriteError with the next step."""
    try:
        yield
    except OSError as error:
        step = _NEXT_STEPS.get(error.errno or 0, "see that this folder can be written")
        raise WriteError(f"{path} cannot be written: {error.strerror or error}; {step}") from error
    except RuntimeError as error:  # MLX's, when the disk is full or the file cannot be opened
        raise WriteError(f"{path} cannot be written: {error}; make room, or see that it may be written") from error


_ROOM = "make room"
_RIGHTS = "choose another folder, or change its rights"
_NEXT_STEPS = {
    errno.ENOSPC: _ROOM,
    errno.EDQUOT: _ROOM,
    errno.EFBIG: _ROOM,
    errno.EROFS: _RIGHTS,
    errno.EACCES: _RIGHTS,
    errno.EPERM: _RIGHTS,
}
