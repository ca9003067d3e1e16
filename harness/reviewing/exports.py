"""What was decided, as files: decisions beside their samples, the nested list, chat lines, preferences, measures.

Written whole each time. Knows these forms; the chat lines are made by what harness.prepare makes them with.
"""

import difflib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rapidfuzz.distance import Indel

from harness.data.reviews import CHAT, DECISIONS, LIST, MEASURES, PREFERENCES, WRITTEN, Decision
from harness.data.sources import reviewed
from harness.data.sources.found import Found, Tools
from harness.files import make_folder, writable, write_json, write_text
from harness.reviewing.measures import Share
from harness.reviewing.standing import KEPT, Event, Person, Preferred
from harness.reviewing.texts import Text

# work that was done counts before what was only pressed, and a skip says nothing
_WEIGHT = {Decision.SKIP: 0, Decision.DELETE: 1, Decision.ACCEPT: 1, Decision.EDIT: 2}
_MOST_LINES = 5000  # of a text whose changes are shown
_WRITER = ("base", "adapter", "run", "iteration", "scale")
_ORIGIN = ("base", "adapter", "run", "iteration", "scale", "weights", "variant", "prompt", "seed")


@dataclass(frozen=True)
class _Outcome:
    """What counts of a text, and all that was said of it, by whom and when."""

    text: Text
    event: Event
    all: Sequence[Event]

    @property
    def decision(self) -> Decision:
        return _decision(self.event)

    @property
    def kept(self) -> str | None:
        """The text as it is to be learned."""
        if self.decision not in KEPT or self.event.said is None:
            return None
        return self.event.said.edited if self.decision is Decision.EDIT else self.text.text


def export(
    folder: Path,
    people: Mapping[str, Person],
    texts: Mapping[str, Text],
    *,
    system: str | None,
    measures: Mapping[str, Sequence[Share]],
) -> list[Path]:
    """The files in the folder, written anew.

    `system`: a system message for the chat lines; `measures`: of each person.

    Raises:
        WriteError: when one cannot be written.
    """
    make_folder(folder)
    standing = sorted((event for each in people.values() for event in each.standing), key=lambda event: event.number)
    outcomes = _outcomes(standing, texts)
    decisions = folder / DECISIONS
    _write_lines(decisions, (_record(each) for each in outcomes))
    lists: dict[str, list[list[str]]] = {}
    for each in outcomes:
        if each.kept is not None:
            lists.setdefault(each.text.group, []).append([each.text.theme, each.kept])
    write_json(folder / LIST, list(lists.values()))
    _write_lines(folder / CHAT, _chat_lines(decisions, system) if outcomes else ())
    _write_lines(folder / PREFERENCES, _preferences(standing, texts))
    said = {name: [share.to_json() for share in shares] for name, shares in measures.items()}
    write_json(folder / MEASURES, {"people": said, "adapters": _of_adapters(outcomes)})
    return [folder / name for name in WRITTEN]


def _outcomes(standing: Iterable[Event], texts: Mapping[str, Text]) -> list[_Outcome]:
    """One for each text, in the order in which they were first decided."""
    of_text: dict[str, list[Event]] = {}
    for event in standing:
        if len(event.shown.texts) == 1:
            of_text.setdefault(event.shown.texts[0], []).append(event)
    return [
        _Outcome(texts[key], max(events, key=lambda event: (_WEIGHT[_decision(event)], event.number)), events)
        for key, events in of_text.items()
    ]


def _decision(event: Event) -> Decision:
    assert event.said is not None and event.said.decision is not None, "it stands"
    return Decision(event.said.decision)


def _record(outcome: _Outcome) -> dict[str, Any]:
    """All of the sample, and the decision: what judge.decisions and source=reviewed read."""
    text, event = outcome.text, outcome.event
    record = dict(text.record) | {"id": text.sample, "theme": text.theme, "text": text.text}
    record |= _said(event) | {"rank": event.shown.rank, "rubric": event.shown.rubric}
    if event.said is not None and event.said.edited is not None:
        record["difference"] = difference(text.text, event.said.edited)
    others = [_said(each) | {"again": each.shown.again} for each in outcome.all if each is not event]
    return {key: value for key, value in record.items() if value is not None} | ({"others": others} if others else {})


def _said(event: Event) -> dict[str, Any]:
    assert event.said is not None
    said = {"decision": event.said.decision, "edited": event.said.edited, "note": event.said.note or None}
    at = datetime.fromtimestamp(event.at, UTC).isoformat(timespec="seconds")
    return {key: value for key, value in said.items() if value is not None} | {"by": event.reviewer, "at": at}


def difference(before: str, after: str) -> dict[str, Any]:
    """`changed`: the share of characters that were put in or left out, 0 to 1; `lines`: those that differ."""
    changed = round(Indel.normalized_distance(before, after), 3)
    old, new = before.splitlines(), after.splitlines()
    if len(old) + len(new) > _MOST_LINES:
        return {"changed": changed}
    return {"changed": changed, "lines": list(difflib.unified_diff(old, new, lineterm="", n=0))[2:]}


def _of_adapters(outcomes: Iterable[_Outcome]) -> list[dict[str, Any]]:
    """How many of each adapter's texts were kept, of those on which something was said; the most first."""
    kept: dict[tuple[Any, ...], list[bool]] = {}
    for each in outcomes:
        if each.decision is not Decision.SKIP:
            writer = tuple(each.text.record.get(name) for name in _WRITER)
            kept.setdefault(writer, []).append(each.kept is not None)
    found = [
        dict(zip(_WRITER, writer, strict=True)) | Share("kept", sum(those), len(those)).to_json()
        for writer, those in kept.items()
    ]
    return sorted(found, key=lambda each: -each["hits"] / each["of"])


def _chat_lines(decisions: Path, system: str | None) -> Iterator[dict[str, Any]]:
    settings = reviewed.Settings(earlier=[], format="messages", system=system, edited_fields=["edited"])
    tools = Tools(count_tokens=None, say=lambda line: None, cache=decisions.parent)
    for found in reviewed.rows(decisions, settings, tools):
        if isinstance(found, Found):
            yield dict(found.line) | {"label": found.label, "lineage": dict(found.lineage)}


def _preferences(standing: Iterable[Event], texts: Mapping[str, Text]) -> Iterator[dict[str, Any]]:
    """Of two texts the chosen one; equals are told too."""
    for event in standing:
        if len(event.shown.texts) != 2 or event.said is None or event.said.decision == Preferred.SKIP:
            continue
        left, right = (texts[key] for key in event.shown.texts)
        lineage = {key: value for key, value in _said(event).items() if key != "decision"}
        lineage |= {"again": event.shown.again}
        if event.said.decision == Preferred.TIE:
            yield {"prompt": left.theme, "equal": [left.text, right.text], "lineage": lineage | _both(left, right)}
            continue
        chosen, rejected = (left, right) if event.said.decision == Preferred.LEFT else (right, left)
        lineage |= {"chosen": _origin(chosen), "rejected": _origin(rejected)}
        yield {"prompt": left.theme, "chosen": chosen.text, "rejected": rejected.text, "lineage": lineage}


def _both(left: Text, right: Text) -> dict[str, Any]:
    return {"equal": [_origin(left), _origin(right)]}


def _origin(text: Text) -> dict[str, Any]:
    known = {name: text.record.get(name) for name in _ORIGIN}
    return {"sample": text.sample} | {key: value for key, value in known.items() if value is not None}


def _write_lines(file: Path, records: Iterable[Mapping[str, Any]]) -> None:
    write_text(file, writable("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)))
