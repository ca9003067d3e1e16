"""Files that survive a crash: written whole beside their place, then renamed into it."""

import errno
import fcntl
import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harness.errors import BusyError, WriteError


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary neighbour of `path` (same suffix), then rename it to `path`."""
    with _said_plainly(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
        try:
            write(temporary)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    write_whole(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def write_json(path: Path, value: Any) -> None:
    write_text(path, json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def writable(text: str) -> str:
    """The text as UTF-8 can hold it: half a pair of UTF-16, which JSON may bring in, becomes U+FFFD."""
    return _HALF_A_PAIR.sub("\ufffd", text)


_HALF_A_PAIR = re.compile("[\ud800-\udfff]")


def replace_link(link: Path, target: str) -> None:
    """Make `link` a symbolic link to its neighbour `target`, replacing a former one at once."""
    temporary = link.with_name(f".{link.name}")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target)
    temporary.replace(link)


def append_json(path: Path, value: Any) -> None:
    """Add one JSON line to a file that grows; the whole line or nothing."""
    line = (json.dumps(value, ensure_ascii=False) + "\n").encode()
    with _said_plainly(path), path.open("ab", buffering=0) as file:
        before = file.tell()
        try:
            if file.write(line) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            file.truncate(before)
            raise


def read_appended(path: Path) -> list[dict[str, Any]]:
    """What append_json wrote. A last line that a killed process left half-written is cut off."""
    if not path.exists():
        return []
    whole, _, half = path.read_bytes().rpartition(b"\n")
    if half:
        write_whole(path, lambda file: file.write_bytes(whole + b"\n" if whole else b""))
    return [json.loads(line) for line in whole.decode("utf-8").split("\n") if line]


def cut_half_line(path: Path) -> None:
    """Shorten a file of lines to its whole ones. The caller sees to it that nobody writes."""
    with path.open("rb+") as file:
        size = file.seek(0, os.SEEK_END)
        if size:
            file.seek(size - 1)
            if file.read() != b"\n":
                file.seek(0)
                file.truncate(file.read().rfind(b"\n") + 1)


def make_folder(path: Path) -> None:
    with _said_plainly(path):
        path.mkdir(parents=True, exist_ok=True)


@contextmanager
def _said_plainly(path: Path) -> Iterator[None]:
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


@contextmanager
def one_at_a_time(lock: Path) -> Iterator[None]:
    """Wait until no other process is inside, then be the one that is."""
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def only_process(lock: Path, what: str) -> Iterator[None]:
    """Hold a lock that ends with the process, however it ends.

    Raises:
        BusyError: when another process holds it.
    """
    with lock.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BusyError(f"{what} is in the hands of process {holder(lock)}; wait for it or stop it") from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def holder(lock: Path) -> str:
    """The number of the process that holds a lock of only_process."""
    return lock.read_text("utf-8") or "?"
