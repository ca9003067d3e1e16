"""JSONL files, read line by line, each line with the place that an error can name.

The shapes of a line are in shapes.py. Knows nothing of tokens.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.data.shapes import Message, ShapeError, shaped, weight_of
from harness.errors import HarnessError


@dataclass(frozen=True)
class Line:
    """One line: either `messages` to go through a chat template, with the `tools` they may call, or `text` to be taken
    as it is. `weight`: what its tokens count while training."""

    path: Path
    number: int
    messages: list[Message] | None
    text: str | None
    label: str | None
    tools: list[Any] | None = None
    weight: float = 1.0

    @property
    def place(self) -> str:
        return f"{self.path}:{self.number}"


def read_lines(path: Path, labels: Sequence[str] | None = None) -> list[Line]:
    """All lines of a JSONL file, or those with one of `labels`; blank lines are passed over.

    Raises:
        HarnessError: naming file and line, for what cannot be read.
    """
    try:
        content = path.read_text("utf-8-sig")
    except FileNotFoundError as error:
        raise HarnessError(
            f"{path} is not there; data.path must be a folder with train.jsonl and valid.jsonl"
        ) from error
    except OSError as error:
        raise HarnessError(f"{path} cannot be read: {error.strerror}; see that it is a file you may read") from error
    except UnicodeDecodeError as error:
        number = path.read_bytes()[: error.start].count(b"\n") + 1
        raise HarnessError(
            f"{path}:{number} must be UTF-8, but byte {error.start} is not; save the file as UTF-8"
        ) from error
    # not splitlines(): JSON strings may hold other line separators, such as U+2028
    numbered = enumerate(content.split("\n"), start=1)
    lines = [_read_line(path, number, text) for number, text in numbered if text.strip()]
    if labels is None:
        return lines
    kept = [line for line in lines if line.label in labels]
    if not kept:
        there = ", ".join(sorted({line.label for line in lines if line.label is not None})) or "none"
        raise HarnessError(f"data.labels={list(labels)} keeps no line of {path}; its labels are {there}")
    return kept


def first_lines(path: Path, labels: Sequence[str] | None = None) -> Iterator[Line]:
    """The lines one after the other, without reading what follows.

    Raises:
        HarnessError: naming file and line, for what cannot be read.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="\n") as file:
            for number, text in enumerate(file, start=1):
                line = _read_line(path, number, text) if text.strip() else None
                if line is not None and (labels is None or line.label in labels):
                    yield line
    except (OSError, UnicodeDecodeError) as error:
        raise HarnessError(f"{path} cannot be read: {error}; see that it is a UTF-8 file of lines") from error


def check_first_lines(folder: Path, names: Sequence[str] = ("train", "valid")) -> None:
    """Look at the first line of each file, before anything heavy is loaded for the rest.

    Raises:
        HarnessError: naming file and line, for one in a form that is not known.
    """
    for path in (folder / f"{name}.jsonl" for name in names):
        with suppress(OSError, UnicodeDecodeError), path.open(encoding="utf-8-sig", newline="\n") as file:
            first = next(((number, text) for number, text in enumerate(file, start=1) if text.strip()), None)
            if first is not None:
                _read_line(path, *first)


def _read_line(path: Path, number: int, text: str) -> Line:
    place = f"{path}:{number}"
    try:
        record = json.loads(text)
    except json.JSONDecodeError as error:
        raise HarnessError(
            f"{place} must be one JSON object, but {error.msg} at column {error.colno}; mend the line"
        ) from error
    except (ValueError, RecursionError) as error:
        raise HarnessError(f"{place} cannot be read as JSON: {error}; mend the line") from error
    if not isinstance(record, dict):
        raise HarnessError(f"{place} must be one JSON object, but it is a {type(record).__name__}; mend the line")
    try:
        return line_of(record, path, number)
    except ShapeError as error:
        raise HarnessError(f"{place}: {error.rule}") from error


def line_of(record: Mapping[str, Any], path: Path, number: int) -> Line:
    """Raises: ShapeError for a record in no shape that is known."""
    label = record.get("label")
    found = shaped(record)
    label = None if label is None else str(label)
    return Line(path, number, found.messages, found.text, label, found.tools, weight_of(record))
