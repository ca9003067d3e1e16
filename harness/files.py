"""Files that survive a crash or a power cut, and say so when they are damaged.

Those that are written whole are written beside their place, then renamed into it; those that grow do so by whole lines.
"""

import errno
import fcntl
import hashlib
import json
import os
import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any

from harness.errors import BusyError, DamagedError, WriteError


def write_whole(path: Path, write: Callable[[Path], object], *, durable: bool = True) -> None:
    """Let `write` fill a temporary neighbour of `path` (same suffix), then rename it to `path`.

    `durable`: what was written is on the disk before the name is, so that a power cut leaves the former file or the new
    one. It costs about 10 ms.
    """
    with _said_plainly(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
        try:
            write(temporary)
            if durable:
                sync(temporary)
            temporary.replace(path)
            if durable:
                sync(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


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


def append_json(path: Path, value: Any, *, checksum: bool = False) -> None:
    """Add one JSON line to a file that grows; the whole line or nothing. What a killed process left of one is cut off.

    `checksum`: the line carries one of its own bytes, as its last value (see read_lines).
    """
    text = json.dumps(value, ensure_ascii=False)
    if checksum:
        text = f'{text[:-1]}, "{_SUM}": "{_checksum(text)}"}}'
    with _said_plainly(path), path.open("a+b", buffering=0) as file:
        before = _mended(file)
        line = f"{text}\n".encode()
        try:
            if file.write(line) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            file.truncate(before)
            raise


def _mended(file: FileIO) -> int:
    """Give a whole last line the end that it lacks, cut off a half one; returns where the next line begins."""
    size = file.seek(0, os.SEEK_END)
    if size == 0:
        return 0
    file.seek(size - 1)
    if file.read(1) == b"\n":
        return size
    file.seek(0)
    lines, _, last = file.read().rpartition(b"\n")
    if _is_whole(last):
        file.write(b"\n")
    else:
        file.truncate(len(lines) + 1 if lines else 0)
    return file.seek(0, os.SEEK_END)


def _is_whole(line: bytes) -> bool:
    try:
        _read_line(line)
    except ValueError:
        return False
    return True


@dataclass(frozen=True)
class Damage:
    """A line that is not what was written, by its number from 1, and what is found of it."""

    line: int
    why: str

    def error(self, path: Path) -> DamagedError:
        step = "put back a copy of the file, or remove that line to go on without it"
        return DamagedError(path, f"is damaged in line {self.line} ({self.why})", step)


@dataclass(frozen=True)
class Lines:
    """What append_json wrote, None for a line that is damaged."""

    values: list[dict[str, Any] | None]
    damage: list[Damage]


def read_lines(path: Path) -> Lines:
    """All whole lines of a file that grows; none where there is no file. Nothing is changed.

    A last line that has no end is no damage: it is being written, or was when its process was killed.
    """
    values: list[dict[str, Any] | None] = []
    damage = []
    *whole, last = (path.read_bytes() if path.exists() else b"").split(b"\n")
    for number, line in enumerate([*whole, last] if _is_whole(last) else whole, start=1):
        try:
            values.append(_read_line(line))
        except ValueError as error:
            values.append(None)
            damage.append(Damage(number, str(error)))
    return Lines(values, damage)


def read_appended(path: Path) -> list[dict[str, Any]]:
    """What append_json wrote.

    Raises:
        DamagedError: for the first line that is not what was written.
    """
    lines = read_lines(path)
    for damage in lines.damage:
        raise damage.error(path)
    return [value for value in lines.values if value is not None]


_SUM = "sum"
_CHECKED = re.compile(rb'(.*), "sum": "([0-9a-f]{8})"\}', re.DOTALL)


def _read_line(line: bytes) -> dict[str, Any]:
    """Raises: ValueError saying what is wrong with it."""
    try:
        value = json.loads(line.decode("utf-8"))
    except ValueError as error:
        raise ValueError(f"it is no JSON: {str(error).splitlines()[0]}") from error
    if not isinstance(value, dict):
        raise ValueError("it is no JSON object")
    checked = _CHECKED.fullmatch(line)
    if checked and _checksum(checked[1].decode("utf-8") + "}") != checked[2].decode():
        raise ValueError("its checksum is another")
    if checked:
        del value[_SUM]
    return value


def _checksum(text: str) -> str:
    return f"{zlib.crc32(text.encode()):08x}"


def digest_of(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
    with _said_plainly(lock):
        file = lock.open("w")
    with file:
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
