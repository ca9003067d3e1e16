"""The rows that were accepted, on disk until it is known which split each belongs to: memory holds what decides that.

Knows nothing of how rows are checked or split.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from harness.data.sources.found import HeldOut
from harness.preparing.check import Checked, Length


@dataclass(frozen=True, slots=True)
class Entry:
    """One row: its place in the spool (bytes), and what decides its split and is reported of it.

    `prompt`: a few bytes that rows with the same first words of the user share; empty where there are none;
    `words`: that rows share which say the same. `split`: where its source holds it out.
    """

    start: int
    size: int
    origin: str
    group: str
    label: str | None
    split: HeldOut | None
    length: Length | None
    characters: int
    prompt: bytes
    words: bytes


class Spool:
    """Rows are added, then read again in any order."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("w+b")
        self._end = 0

    def __enter__(self) -> "Spool":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()
        self._path.unlink(missing_ok=True)

    def add(self, checked: Checked, *, group: str, characters: int, prompt: bytes, words: bytes) -> Entry:
        found = checked.found
        line = checked.written
        self._file.write(line)
        entry = Entry(
            self._end,
            len(line),
            found.origin,
            group,
            found.label,
            found.split,
            checked.length,
            characters,
            prompt,
            words,
        )
        self._end += len(line)
        return entry

    def write(self, entries: Sequence[Entry], path: Path) -> None:
        """Those rows, in that order, as a file of lines."""
        with path.open("wb") as file:
            for entry in entries:
                self._file.seek(entry.start)
                file.write(self._file.read(entry.size))
