"""From a line, a run or a version back to what made it: each link by its record; what that lacks is said.

Knows how one record names the next. Does not know how they are shown.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.config.paths import MLRUNS
from harness.config.schema import TrackingConfig
from harness.errors import HarnessError
from harness.rounds.ancestors import Ancestors
from harness.rounds.chain import Link
from harness.rounds.folder import TRAINED_ON, Folder, Place, find_words, place_of

_RUN = re.compile(r"(?:runs:/|sweeps:/)?(?P<id>[0-9a-f]{32})/?")
_BEGINNING = re.compile(r"(?=.*[a-f])(?=.*[0-9])[0-9a-f]{8,31}")  # of an id, as tables show it: no line says that
_VERSION = "models:/"
_SYSTEM = re.compile(r"^\s*<\|im_start\|>system.*?<\|im_end\|>", re.DOTALL)
_MARKER = re.compile(r"<\|im_end\|>|<\|im_start\|>(?:user|assistant)?")
_SHOWN = 120  # characters of a line
# of a line's lineage: what a person, a judge and a sampler say, each with what it should say
_DECISION = ("decision", "by", "at", "difference", "review")
_JUDGE = ("rubric", "rank")
_SAMPLE = ("variant", "prompt", "seed")
_CHECKPOINT = ("base", "scale", "weights")


def lineage(reference: str, *, data: Path | None, tracking: TrackingConfig) -> Link:
    """The chain from FILE:LINE, a line's words, a run's id or models:/… on.

    `data`: the folder in which words are looked for; None: that of the newest run.

    Raises:
        HarnessError: for what is not there.
    """
    ancestors = Ancestors(_store(tracking))
    if reference.startswith(_VERSION):
        return ancestors.version(reference)
    if match := _RUN.fullmatch(reference):
        return ancestors.run(match["id"], must_be_there=True)
    if reference.startswith(("runs:/", "sweeps:/")) or _BEGINNING.fullmatch(reference):
        raise HarnessError(
            f"{reference} must be or end in a run's id of 32 hex digits; python -m harness.runs shows ids"
        )
    place = place_of(reference)
    if place is None and Path(reference).expanduser().exists():
        raise HarnessError(f"{reference} is a file or a folder; say which line of it, as {reference}:12")
    place = place or find_words(data or ancestors.newest_data(), reference)
    return Lines(ancestors).line(place)


@dataclass(frozen=True)
class Lines:
    """Lines back to what wrote them."""

    ancestors: Ancestors

    def line(self, place: Place, depth: int = 0) -> Link:
        """Raises: HarnessError when there is no such line."""
        record, folder = place.read(), Folder(place.file.parent)
        known = record.get("lineage")
        known = known if isinstance(known, dict) else {}
        facts = {"says": _shown(record), "label": record.get("label")}
        lacks = [f"whether it is what harness.prepare wrote: {place.file.name} has changed since"]
        lacks = lacks if place.file.name in folder.changed else []
        origin = folder.origin(place)
        if origin is None:
            lacks.append("where it was read")
        of = self._made_by(known) if known else self._read_from(origin, folder, depth)
        if known and origin is not None:
            facts["read from"] = origin
        return Link(what="line", name=str(place), facts=_without_none(facts), lacks=tuple(lacks), of=of)

    def _made_by(self, known: Mapping[str, Any]) -> tuple[Link, ...]:
        """Of a reviewed sample the decision, the judge and the sample; of other lines what they say themselves."""
        if "decision" not in known:
            return (Link(what="made by", name="", facts=dict(known)),)
        return (_link("decision", "", known, _DECISION), self._judge(known), self._sample(known))

    def _judge(self, known: Mapping[str, Any]) -> Link:
        if known.get("rubric") is None:
            return Link(what="judge", name="", lacks=("any judge: it was decided on without a ranking",))
        link = _link("judge", "", known, _JUDGE)
        asked = [each for each in self.ancestors.judgings(str(known.get("sample"))) if each.rubric == known["rubric"]]
        if not asked:
            return Link(what="judge", name="", facts=link.facts, lacks=("a judging of this sample in this store",))
        said = {"judges": ", ".join(asked[-1].judges), "run": asked[-1].run}
        return Link(what="judge", name="", facts=dict(link.facts) | said, lacks=link.lacks)

    def _sample(self, known: Mapping[str, Any]) -> Link:
        link = _link("sample", str(known.get("sample", "")), known, _SAMPLE)
        return Link(what="sample", name=link.name, facts=link.facts, lacks=link.lacks, of=(self._checkpoint(known),))

    def _checkpoint(self, known: Mapping[str, Any]) -> Link:
        adapter, run, step = (known.get(name) for name in ("adapter", "run", "iteration"))
        if adapter is None:
            return _link("base", str(known.get("base", "")), known, ("weights",))
        link = _link("checkpoint", f"{adapter}{'' if step is None else f' @ update {step}'}", known, _CHECKPOINT)
        lacks = [*link.lacks, *(["its update"] if step is None else [])]
        if run is None:
            return Link(what="adapter", name=link.name, facts=link.facts, lacks=(*lacks, "the run that trained it"))
        lacks += self.ancestors.gone(str(run), step)
        return Link(
            what="checkpoint", name=link.name, facts=link.facts, lacks=tuple(lacks), of=(self.ancestors.run(str(run)),)
        )

    def _read_from(self, origin: str | None, folder: Folder, depth: int) -> tuple[Link, ...]:
        """A line of earlier lines is followed, where they are still those that were read."""
        if origin is None:
            return ()
        place = place_of(origin)
        if place is None or place.file.suffix != ".jsonl" or not (place.file.parent / TRAINED_ON).exists():
            return (Link(what="source", name=origin),)
        if not folder.read_from(place.file):
            return (Link(what="source", name=origin, lacks=(f"what it says: {place.file.name} has changed since",)),)
        if depth > len(str(place)):  # a folder that is made of itself
            return (Link(what="source", name=origin),)
        return (self.line(place, depth + 1),)


def _link(what: str, name: str, known: Mapping[str, Any], names: tuple[str, ...]) -> Link:
    """With those of `names` that are known; the others it lacks, but for what only an edit has."""
    facts = {key: _difference(known[key]) if key == "difference" else known[key] for key in names if key in known}
    expected = [key for key in names if key != "difference" or known.get("decision") == "edit"]
    lacks = tuple(key for key in expected if known.get(key) is None)
    return Link(what=what, name=name, facts=facts, lacks=lacks)


def _difference(value: Any) -> Any:
    """As a share and lines with + and -."""
    if not isinstance(value, dict):
        return value
    changed = f"{value['changed']:.0%} of its characters" if isinstance(value.get("changed"), int | float) else "?"
    return [changed, *value.get("lines", [])]


def _shown(record: Mapping[str, Any]) -> str:
    """How a line begins, on one line."""
    messages = record.get("messages") or []
    parts = [str(each.get("content")) for each in messages if isinstance(each, dict) and each.get("role") != "system"]
    whole = _SYSTEM.sub("", str(record.get("text") or record.get("completion") or record))
    text = " → ".join(parts) or _MARKER.sub(" ", whole)
    text = " ".join(text.split())
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _without_none(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in facts.items() if value is not None}


def _store(tracking: TrackingConfig) -> Any:
    """The tracking store; None where there is none here, and then none is made."""
    if tracking.uri is None and not (MLRUNS / "mlflow.db").exists():
        return None
    from harness.tracking.store import open_store

    return open_store(tracking)
