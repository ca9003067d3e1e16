"""Files that grow by whole lines of JSON, and say which line is damaged."""

import errno
import json
import os
import re
import zlib
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any

from harness.errors import DamagedError
from harness.files.plainly import said_plainly


def append_json(path: Path, value: Any, *, checksum: bool = False) -> None:
    """Add one JSON line to a file that grows; the whole line or nothing. What a killed process left of one is cut off.

    `checksum`: the line carries one of its own bytes, as its last value (see read_lines).
    """
    text = json.dumps(value, ensure_ascii=False)
    if checksum:
        text = f'{text[:-1]}, "{_SUM}": "{_checksum(text)}"}}'
    with said_plainly(path), path.open("a+b", buffering=0) as file:
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


def cut_half_line(path: Path) -> None:
    """Shorten a file of lines to its whole ones. The caller sees to it that nobody writes."""
    with path.open("rb+") as file:
        size = file.seek(0, os.SEEK_END)
        if size:
            file.seek(size - 1)
            if file.read() != b"\n":
                file.seek(0)
                file.truncate(file.read().rfind(b"\n") + 1)
