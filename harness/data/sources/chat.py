"""Conversations and texts that exist already: JSON lines or lists in any shape of shapes.py, with labels.

`text` is kept byte for byte, messages and pairs as they are; the other shapes become messages.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from harness.data.cleaning import encoding_of, read_any
from harness.data.kinds import Kind
from harness.data.shapes import ROLE_NAMES, ROLES, ShapeError, shaped
from harness.data.sources.found import Found, Rejected, Tools
from harness.errors import HarnessError, SettingError

_SUFFIXES = (".jsonl", ".json", ".ndjson")
_ESCAPED = re.compile("[\udc80-\udcff]")  # bytes that are no text in the file's encoding


@dataclass(frozen=True, config=ConfigDict(strict=True, extra="forbid"))
class Settings:
    """`roles`: what further names mean; `group_fields`: of the record."""

    roles: dict[str, str]
    label_field: str
    group_fields: list[str]


def rows(path: Path, settings: Settings, tools: Tools) -> Iterator[Found | Rejected]:
    """Raises: HarnessError when there is nothing to read, or a JSON list cannot be."""
    for name, role in settings.roles.items():
        if role not in ROLES:
            rule = f"source.roles.{name} must be one of {', '.join(ROLES)}, but got {role}"
            raise SettingError(f"source.roles.{name}", rule)
    for file in _files(path):
        for record in _list(file) if _holds_list(file) else _lines(file):
            yield record if isinstance(record, Rejected) else _shallow(*record, settings)


def _files(path: Path) -> list[Path]:
    if not path.exists():
        raise HarnessError(f"source.path={path} is not there; give a file of JSON lines, or a folder of them")
    files = sorted(file for file in path.rglob("*") if file.suffix in _SUFFIXES) if path.is_dir() else [path]
    if not files:
        raise HarnessError(f"source.path={path} must hold files that end in {', '.join(_SUFFIXES)}, but it has none")
    return files


def _holds_list(file: Path) -> bool:
    with file.open(encoding=encoding_of(file), errors="replace") as opened:
        return opened.read(4096).lstrip().startswith("[")


def _list(file: Path) -> Iterator[tuple[Any, str]]:
    try:
        records = json.loads(read_any(file))
    except (ValueError, RecursionError) as error:
        raise HarnessError(f"{file} is not JSON: {error}; mend it, or give one object a line") from error
    yield from ((record, f"{file}, row {number}") for number, record in enumerate(records, start=1))


def _lines(file: Path) -> Iterator[tuple[Any, str] | Rejected]:
    encoding = encoding_of(file)
    # not universal line ends: JSON strings may hold others
    with file.open(encoding=encoding, errors="surrogateescape", newline="\n") as opened:
        try:
            for number, line in enumerate(opened, start=1):
                if line.strip():
                    yield _record(line, f"{file}:{number}", encoding)
        except UnicodeError as error:  # UTF-16 knows no half characters
            raise HarnessError(f"{file} begins as {encoding}, but {error}; save it as UTF-8") from error


def _record(line: str, origin: str, encoding: str) -> tuple[Any, str] | Rejected:
    def unreadable(reason: str) -> Rejected:
        return Rejected.of(line.strip(), origin=origin, kind=Kind.UNREADABLE, reason=reason)

    if broken := _ESCAPED.search(line):
        return unreadable(f"character {broken.start() + 1} is no {encoding.removesuffix('-sig')}")
    try:
        return json.loads(line), origin
    except json.JSONDecodeError as error:
        return unreadable(f"it is no JSON: {error.msg} at column {error.colno}")
    except (ValueError, RecursionError) as error:
        return unreadable(f"it is no JSON: {error}")


def _shallow(record: Any, origin: str, settings: Settings) -> Found | Rejected:
    try:
        return _row(record, origin, settings)
    except RecursionError:
        reason = "it is nested too deeply"
        return Rejected.of(f"a {type(record).__name__}", origin=origin, kind=Kind.SHAPE, reason=reason)


def _row(record: Any, origin: str, settings: Settings) -> Found | Rejected:
    if not isinstance(record, dict):
        reason = f"it must be an object, but it is a {type(record).__name__}"
        return Rejected.of(record, origin=origin, kind=Kind.SHAPE, reason=reason)
    try:
        line = _line(record, settings)
    except ShapeError as error:
        return Rejected.of(record, origin=origin, kind=error.kind, reason=error.rule)
    label = record.get(settings.label_field)
    parts = [str(record[name]) for name in settings.group_fields if record.get(name) is not None]
    return Found(
        line=line,
        origin=origin,
        group=" / ".join(parts) or None,
        label=None if label is None else str(label),
        lineage=record["lineage"] if isinstance(record.get("lineage"), dict) else {},
    )


def _line(record: dict[str, Any], settings: Settings) -> dict[str, Any]:
    further = {name.strip().lower(): role for name, role in settings.roles.items()}
    found = shaped(record, ROLE_NAMES | further)
    if found.text is not None:
        return {"text": found.text}
    tools = {"tools": found.tools} if found.tools else {}
    if found.messages is not None and "prompt" in record and "messages" not in record and "conversations" not in record:
        return {"prompt": record["prompt"], "completion": record["completion"], **tools}
    return {"messages": found.messages, **tools}
