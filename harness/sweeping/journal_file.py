"""A study's journal on disk: Optuna's lines, each with a checksum, and a lock that ends with its process.

What does not read as it was written is named by file and line. Knows nothing of what the lines mean to a study.
"""

import json
import os
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend

from harness.errors import DamagedError
from harness.files import cut_half_line, one_at_a_time, write_whole

_CHECKED = re.compile(rb'(.*),"crc":"([0-9a-f]{8})"\}', re.DOTALL)
_OPERATIONS = range(11)  # of Optuna 5


class DamagedStudyError(DamagedError):
    """`study`: its name; `line`: the first, from 1, that is not what was written; what is before it is intact."""

    def __init__(self, path: Path, line: int, why: str) -> None:
        step = f"python -m harness.sweep repair {path.stem} keeps what is before it and takes the rest from the runs"
        super().__init__(path, f"is damaged in line {line} ({why})", step)
        self.study, self.line = path.stem, line


class StudyJournal(BaseJournalBackend):
    """Not made before its first line is written. Another process may write while this one reads.

    A line's checksum is over it and the checksum before it, so that a line that is lost is noticed too.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._begins, self._sums = [0], [0]  # of the lines that were read: where each ends, and its checksum

    @property
    def lines(self) -> int:
        """How many have been read."""
        return len(self._begins) - 1

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        """Raises: DamagedStudyError."""
        number = min(log_number_from, self.lines)
        for line in self._whole_lines(self._begins[number]):
            number += 1
            log = self._read(number, line)
            if number > self.lines:
                self._begins.append(self._begins[-1] + len(line) + 1)
                self._sums.append(_sum_of(line, self._sums[-1]))
            if number > log_number_from:
                yield log

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        with one_at_a_time(self._path.with_suffix(".writing")), self._path.open("ab") as file:
            cut_half_line(self._path)  # what a process that was killed left: what came after could not be read
            if self._path.stat().st_size < self._begins[-1]:
                raise DamagedStudyError(self._path, self.lines, "it is gone, and was there a moment ago")
            last = self._sums[-1]
            for line in self._whole_lines(self._begins[-1]):
                last = _sum_of(line, last)
            for log in logs:
                written = json.dumps(log, separators=(",", ":")).encode()[:-1]
                last = zlib.crc32(written, last)
                file.write(b'%s,"crc":"%08x"}\n' % (written, last))
            file.flush()
            os.fsync(file.fileno())

    def _whole_lines(self, begin: int) -> list[bytes]:
        if not self._path.exists():
            return []
        with self._path.open("rb") as file:
            file.seek(begin)
            return file.read().split(b"\n")[:-1]

    def _read(self, number: int, line: bytes) -> dict[str, Any]:
        checked = _CHECKED.fullmatch(line)
        if checked is not None and zlib.crc32(checked[1], self._sums[number - 1]) != int(checked[2], 16):
            raise DamagedStudyError(self._path, number, "it is not what was written, or one before it is lost")
        try:
            log = json.loads(line)
        except ValueError as error:
            raise DamagedStudyError(self._path, number, "it is not what Optuna writes") from error
        if not isinstance(log, dict) or log.get("op_code") not in _OPERATIONS or "worker_id" not in log:
            raise DamagedStudyError(self._path, number, "it is no operation of Optuna's")
        return log


def open_journal(path: Path) -> JournalStorage:
    """Raises: DamagedStudyError."""
    journal = StudyJournal(path)
    try:
        return JournalStorage(journal)
    except DamagedStudyError:
        raise
    except Exception as error:  # a line that reads well, but speaks of what there is not
        raise DamagedStudyError(path, journal.lines, "it does not follow from the lines before it") from error


def keep_intact_part(path: Path) -> Path | None:
    """Where a journal is damaged: the whole of it goes aside, and what is intact takes its place.

    Returns the file aside; None where nothing is damaged.
    """
    aside = None
    while (line := _first_damaged(path)) is not None:
        whole = path.read_bytes()
        if aside is None:
            aside = _free_name(path)
            _write(aside, whole)
        _write(path, b"".join(each + b"\n" for each in whole.split(b"\n")[: line - 1]))
    return aside


def _first_damaged(path: Path) -> int | None:
    try:
        open_journal(path)
    except DamagedStudyError as error:
        return error.line
    return None


def _free_name(path: Path) -> Path:
    count = len(list(path.parent.glob(f"{path.name}.damaged*")))
    return path.with_name(f"{path.name}.damaged{f'-{count}' if count else ''}")


def _write(path: Path, content: bytes) -> None:
    write_whole(path, lambda file: file.write_bytes(content))


def _sum_of(line: bytes, before: int) -> int:
    """A line's checksum; one from before checksums counts with all of it."""
    checked = _CHECKED.fullmatch(line)
    return zlib.crc32(line, before) if checked is None else int(checked[2], 16)
