"""Conversations and texts that exist already: JSON lines or lists in any shape of shapes.py, with labels.

`text` is kept byte for byte, messages and pairs as they are; the other shapes become messages.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from harness.data.kinds import Kind
from harness.data.records import SUFFIXES, records
from harness.data.shapes import ROLE_NAMES, ROLES, ShapeError, shaped, weight_of
from harness.data.sources.files import Wanted
from harness.data.sources.found import Found, HeldOut, Rejected, Tools
from harness.errors import SettingError

_FILES = Wanted(suffixes=SUFFIXES, what="a file of JSON lines, or a folder of them")


@dataclass(frozen=True, config=ConfigDict(strict=True, extra="forbid"))
class Settings:
    """`roles`: what further names mean; `group_fields`: of the record."""

    roles: dict[str, str]
    label_field: str
    group_fields: list[str]


def rows(path: Path, settings: Settings, tools: Tools) -> Iterator[Found | Rejected]:
    """Raises: HarnessError when there is nothing to read, or a JSON list cannot be."""
    check_roles(settings.roles)
    for file in _FILES.files(path, tools.say):
        for record in records(file):
            yield record if isinstance(record, Rejected) else row_of(*record, settings)


def check_roles(roles: Mapping[str, str]) -> None:
    """Raises: SettingError for a name that means no role."""
    for name, role in roles.items():
        if role not in ROLES:
            rule = f"source.roles.{name} must be one of {', '.join(ROLES)}, but got {role}"
            raise SettingError(f"source.roles.{name}", rule)


def row_of(record: Any, origin: str, settings: Settings, *, split: HeldOut | None = None) -> Found | Rejected:
    """`split`: what the source holds it out for."""
    try:
        return _row(record, origin, settings, split)
    except RecursionError:
        reason = "it is nested too deeply"
        return Rejected.of(f"a {type(record).__name__}", origin=origin, kind=Kind.SHAPE, reason=reason)


def _row(record: Any, origin: str, settings: Settings, split: HeldOut | None) -> Found | Rejected:
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
        split=split,
        group=" / ".join(parts) or None,
        label=None if label is None else str(label),
        lineage=record["lineage"] if isinstance(record.get("lineage"), dict) else {},
    )


def _line(record: dict[str, Any], settings: Settings) -> dict[str, Any]:
    further = {name.strip().lower(): role for name, role in settings.roles.items()}
    found = shaped(record, ROLE_NAMES | further)
    weight = {} if weight_of(record) == 1 else {"weight": record["weight"]}
    if found.text is not None:
        return {"text": found.text, **weight}
    tools = ({"tools": found.tools} if found.tools else {}) | weight
    if found.messages is not None and "prompt" in record and "messages" not in record and "conversations" not in record:
        return {"prompt": record["prompt"], "completion": record["completion"], **tools}
    return {"messages": found.messages, **tools}
