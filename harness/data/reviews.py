"""What the files of a review hold, told apart by what a record has: decisions, samples, pairs, lines of training.

Knows their fields; does not know which of them counts, nor what becomes of it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from harness.data.kinds import Kind
from harness.data.records import records
from harness.data.sources.found import Rejected

# what harness.review writes into a folder; all but the first say it again in other forms, or count it
DECISIONS, LIST, CHAT = "decisions.jsonl", "accepted.json", "chat.jsonl"
PREFERENCES, MEASURES = "preferences.jsonl", "measures.json"
WRITTEN = (DECISIONS, LIST, CHAT, PREFERENCES, MEASURES)
_SAMPLE = ("id", "theme", "text")  # as harness.generate writes them


class Decision(StrEnum):
    """What a person made of a sample."""

    ACCEPT = "accept"
    EDIT = "edit"
    SKIP = "skip"
    DELETE = "delete"


@dataclass(frozen=True, kw_only=True)
class Decided:
    """`sample`: its id; None where only the text is known. `record`: all that stands with the decision."""

    sample: str | None
    decision: Decision
    record: Mapping[str, Any]
    origin: str
    file: Path


@dataclass(frozen=True, kw_only=True)
class Written:
    """A sample without a decision beside it."""

    sample: str
    record: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A line of training data. `sample`: the id of what it was made of, where its lineage says so."""

    sample: str | None
    record: Mapping[str, Any]
    origin: str
    file: Path


Piece = Decided | Written | Trained | Rejected


def read_review(file: Path) -> Iterator[Piece]:
    """Raises: HarnessError when a JSON list cannot be read."""
    for each in records(file):
        if isinstance(each, Rejected):
            yield each
            continue
        record, origin = each
        if isinstance(record, list):
            yield from _pairs(record, origin, file)
        elif isinstance(record, dict):
            yield _piece(record, origin, file)
        else:
            yield _shapeless(record, origin, f"it must be an object, but it is a {type(record).__name__}")


def _piece(record: dict[str, Any], origin: str, file: Path) -> Piece:
    if "decision" in record and "messages" not in record:
        return _decided(record, origin, file)
    if all(name in record for name in _SAMPLE) and "messages" not in record:
        return Written(sample=str(record["id"]), record=record)
    lineage = record.get("lineage")
    sample = lineage.get("sample") if isinstance(lineage, dict) else None
    return Trained(sample=None if sample is None else str(sample), record=record, origin=origin, file=file)


def _decided(record: dict[str, Any], origin: str, file: Path) -> Decided | Rejected:
    if record.get("id") is None:
        return _shapeless(record, origin, f"a decision must have the id of its sample; it has {', '.join(record)}")
    try:
        decision = Decision(record["decision"])
    except ValueError:
        known = ", ".join(Decision)
        return _shapeless(record, origin, f"decision must be one of {known}, but got {record['decision']!r}")
    return Decided(sample=str(record["id"]), decision=decision, record=record, origin=origin, file=file)


def _pairs(record: list[Any], origin: str, file: Path) -> Iterator[Decided | Rejected]:
    """[title, body], or a list of such: what a person kept."""
    each_alone = len(record) != 2 or not all(isinstance(part, str) for part in record)
    for pair in record if each_alone else [record]:
        if not isinstance(pair, list) or len(pair) != 2 or not all(isinstance(part, str) for part in pair):
            yield _shapeless(pair, origin, "a pair must be [title, body], both texts")
        else:
            kept = {"theme": pair[0], "text": pair[1]}
            yield Decided(sample=None, decision=Decision.ACCEPT, record=kept, origin=origin, file=file)


def _shapeless(record: Any, origin: str, reason: str) -> Rejected:
    return Rejected.of(record, origin=origin, kind=Kind.SHAPE, reason=reason)
