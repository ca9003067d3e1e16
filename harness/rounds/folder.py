"""A folder of lines as lineage needs it: a line by its number or its words, where each comes from, what it was made of.

Knows the files of harness.prepare. What they do not say is None. Knows nothing of runs.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from harness.errors import HarnessError
from harness.files import digest_of
from harness.preparing.pipeline import ORIGINS
from harness.preparing.place import LAST

SPLITS = (TRAINED_ON, _, TESTED_ON) = ("train.jsonl", "valid.jsonl", "test.jsonl")
_PLACE = re.compile(r"^(?P<file>.+):(?P<line>\d+)$", re.DOTALL)
_NAMED = 5  # places where words stand


@dataclass(frozen=True)
class Place:
    """A line of a file, counted from 1."""

    file: Path
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"

    def read(self) -> dict[str, Any]:
        """The line.

        Raises:
            HarnessError: when there is none, or it is no JSON object.
        """
        if not self.file.is_file():
            raise HarnessError(f"{self.file} is not there; give FILE:LINE of a file of training lines")
        found = dict(enumerate(_lines(self.file), start=1))
        if self.line not in found:
            raise HarnessError(f"{self.file} has lines 1 to {len(found)}, but got {self.line}")
        try:
            record = json.loads(found[self.line])
        except ValueError as error:
            raise HarnessError(f"{self} is no JSON: {error}; mend it, or name another line") from error
        if not isinstance(record, dict):
            raise HarnessError(f"{self} must be a JSON object, but it is a {type(record).__name__}")
        return record


def place_of(text: str) -> Place | None:
    """FILE:LINE, whether or not that is there; None for other words."""
    match = _PLACE.match(text)
    if match is None or "\n" in match["file"]:
        return None
    file = Path(match["file"]).expanduser()
    return Place(file, int(match["line"])) if file.exists() or file.suffix in (".jsonl", ".json") else None


def find_words(folder: Path, words: str) -> Place:
    """The one line of a folder's splits that has these words, whatever its spaces.

    Raises:
        HarnessError: when none has, or several have.
    """
    wanted = _tight(words)
    files = [folder / name for name in SPLITS if (folder / name).is_file()]
    if not files:
        raise HarnessError(f"{folder} has no {TRAINED_ON}; give the folder of the lines as --data")
    found = [Place(file, at) for file in files for at, line in enumerate(_lines(file), 1) if wanted in _words(line)]
    if not found:
        raise HarnessError(f"no line of {folder} has {words!r:.60}; give another --data, FILE:LINE, a run or a version")
    if len(found) > 1:
        places = ", ".join(map(str, found[:_NAMED])) + (", …" if len(found) > _NAMED else "")
        raise HarnessError(f"{len(found)} lines have {words!r:.60}; name one: {places}")
    return found[0]


@dataclass(frozen=True)
class Folder:
    """One that harness.prepare wrote, or any other with lines."""

    path: Path

    @cached_property
    def manifest(self) -> dict[str, Any] | None:
        """What it was made of and with; None where harness.prepare did not write it."""
        try:
            found = json.loads((self.path / LAST).read_text("utf-8"))
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) and "outputs" in found else None

    @property
    def source(self) -> dict[str, Any]:
        """The settings of its source."""
        found: dict[str, Any] = (self.manifest or {}).get("configuration", {}).get("source", {})
        return found

    @cached_property
    def changed(self) -> list[str]:
        """The names of splits that are no longer what harness.prepare wrote."""
        outputs = {} if self.manifest is None else self.manifest["outputs"]
        files = [self.path / name for name in SPLITS if name in outputs]
        return [file.name for file in files if not file.is_file() or digest_of(file) != outputs[file.name]]

    def digest(self, name: str = TRAINED_ON) -> str | None:
        file = self.path / name
        return digest_of(file) if file.is_file() else None

    def origin(self, place: Place) -> str | None:
        """Where the row of a line was read, as that line's file was written."""
        if place.file.name in self.changed or not (self.path / ORIGINS).is_file():
            return None
        for line in _lines(self.path / ORIGINS):
            known = json.loads(line)
            if (f"{known['split']}.jsonl", known["line"]) == (place.file.name, place.line):
                return str(known["origin"])
        return None

    def read_from(self, file: Path) -> bool:
        """Whether the file is, byte for byte, one of those that it was made of."""
        return file.is_file() and digest_of(file) in (self.manifest or {}).get("sources", {}).values()

    @cached_property
    def written_by(self) -> Counter[str]:
        """How many of its lines to train on each run wrote."""
        file = self.path / TRAINED_ON
        rows = [json.loads(line) for line in _lines(file)] if file.is_file() else []
        lineages = [row.get("lineage") for row in rows if isinstance(row, dict)]
        return Counter(str(each["run"]) for each in lineages if isinstance(each, dict) and each.get("run"))


def _lines(file: Path) -> Iterator[str]:
    with file.open(encoding="utf-8", errors="replace", newline="\n") as opened:
        yield from opened


def _words(line: str) -> str:
    """All texts of a JSON line, without their spaces."""
    try:
        return _tight("\0".join(_texts(json.loads(line))))
    except ValueError:
        return _tight(line)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, each in value.items():
            if key != "lineage":
                yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)


def _tight(text: str) -> str:
    return "".join(text.split())
