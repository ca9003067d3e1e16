"""stdout and stderr that outlive who reads them: what is said to a closed terminal costs no work."""

import errno
import io
import sys
from typing import Any, TextIO


def outlive_terminal() -> None:
    """From here on, nothing that cannot be said on stderr is an error, nor on stdout where the terminal was closed.

    A stdout whose reader has gone away stays one: its reader wanted results. Streams that were replaced stay as they
    are.
    """
    if sys.stderr is sys.__stderr__ and sys.stderr is not None:
        sys.stderr = _outliving(sys.stderr, always=True)
    if sys.stdout is sys.__stdout__ and sys.stdout is not None:
        sys.stdout = _outliving(sys.stdout, always=False)


class _Outliving(io.FileIO):
    """A file descriptor. `always`: whatever keeps it from being written."""

    def __init__(self, descriptor: int, *, always: bool) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self._always = always

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError as error:
            if self._always or error.errno == errno.EIO:
                return memoryview(data).nbytes
            raise


def _outliving(stream: TextIO, *, always: bool) -> TextIO:
    stream.flush()
    raw = _Outliving(stream.fileno(), always=always)
    encoding, errors = stream.encoding, stream.errors
    return io.TextIOWrapper(
        io.BufferedWriter(raw), encoding=encoding, errors=errors, line_buffering=always or stream.isatty()
    )
