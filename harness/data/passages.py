"""Passages of prose out of files: JSON lines, a JSON list, or text files of which each is a passage.

Knows where each stands and what made it. Does not know what becomes of them.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.data.cleaning import clean, read_any
from harness.data.kinds import Kind
from harness.data.sources.files import Wanted
from harness.data.sources.found import Rejected
from harness.errors import HarnessError

_TEXTS = (".txt", ".md", ".text")
_LINES = (".jsonl", ".ndjson")
_JSON = (".json",)
_FILES = Wanted(
    suffixes=(*_TEXTS, *_LINES, *_JSON), what="JSON lines, a JSON list or a folder of text files with passages"
)


@dataclass(frozen=True)
class Passage:
    """`origin`: file and number; `lineage`: what made it, as its record says."""

    text: str
    origin: str
    lineage: Mapping[str, Any] = field(default_factory=dict)


def read_passages(path: Path, fields: Sequence[str], say: Callable[[str], object]) -> Iterator[Passage | Rejected]:
    """Each once. `fields`: names of what holds the text in a record; the first that is there is taken. `say` gets a
    line on files left aside.

    Raises:
        HarnessError: when there is nothing to read, or a JSON list cannot be.
    """
    seen: dict[str, str] = {}
    for file in _FILES.files(path, say):
        for record, origin in _records(file):
            found = record if isinstance(record, Rejected) else _passage(record, origin, fields)
            if isinstance(found, Passage) and found.text in seen:
                reason = f"the same as {seen[found.text]}"
                found = Rejected.of(found.text, origin=origin, kind=Kind.DUPLICATE, reason=reason)
            elif isinstance(found, Passage):
                seen[found.text] = origin
            yield found


def _records(file: Path) -> Iterator[tuple[Any, str]]:
    """What stands in a file, with its place."""
    text, suffix = read_any(file), file.suffix.lower()
    if suffix in _LINES:
        lines = enumerate(text.split("\n"), start=1)
        yield from ((_line(line, f"{file}:{number}"), f"{file}:{number}") for number, line in lines if line.strip())
    elif suffix in _JSON:
        listed = enumerate(_list(text, file), start=1)
        yield from ((record, f"{file}, passage {number}") for number, record in listed)
    else:
        yield text, str(file)


def _line(line: str, origin: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        return Rejected.of(line, origin=origin, kind=Kind.UNREADABLE, reason=f"it is no JSON: {error}")


def _list(text: str, file: Path) -> list[Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise HarnessError(f"{file} cannot be read as JSON: {error}; mend it, or give one object a line") from error
    if not isinstance(value, list):
        raise HarnessError(f"{file} must hold a JSON list of passages, but it holds a {type(value).__name__}")
    return value


def _passage(record: Any, origin: str, fields: Sequence[str]) -> Passage | Rejected:
    def rejected(kind: Kind, reason: str) -> Rejected:
        return Rejected.of(record, origin=origin, kind=kind, reason=reason)

    lineage: Any = None
    text: Any = record
    if isinstance(record, dict):
        lineage = record.get("lineage")
        text = next((record[name] for name in fields if record.get(name) is not None), None)
        if text is None:
            there = ", ".join(record) or "nothing"
            return rejected(Kind.SHAPE, f"it must have {' or '.join(fields)} (source.passage_fields); it has {there}")
    if not isinstance(text, str):
        return rejected(Kind.TYPE, f"a passage must be a text, but it is a {type(text).__name__}")
    cleaned = clean(text)
    if not cleaned:
        return rejected(Kind.EMPTY, "the passage is empty")
    return Passage(cleaned, origin, lineage if isinstance(lineage, dict) else {})
