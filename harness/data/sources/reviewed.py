"""What people decided on samples becomes training lines that say where they come from; rounds and lines are joined.

What a later round says of a sample takes the place of what an earlier one said. Lines that were held out stay so: what
a run started from has not learned them. Repeats are the pipeline's business; knows nothing of pages, judges or runs.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from harness.data.cleaning import clean
from harness.data.kinds import Kind
from harness.data.records import SUFFIXES
from harness.data.reviews import DECISIONS, WRITTEN, Decided, Decision, Piece, Trained, Written, read_review
from harness.data.sources.digests import digests_of
from harness.data.sources.files import SPLIT_FILES, Wanted
from harness.data.sources.found import Found, HeldOut, Rejected, Tools
from harness.data.sources.poems import to_line

LABELS = {Decision.ACCEPT: "accepted", Decision.EDIT: "edited"}
_DONE = {Decision.DELETE: "deleted", Decision.SKIP: "skipped"}
_HELD_OUT: dict[str, HeldOut] = {"valid.jsonl": "valid", "test.jsonl": "test"}
# of the sample and the decision on it, what the line keeps
_LINEAGE = (
    "base",
    "adapter",
    "run",
    "iteration",
    "scale",
    "weights",
    "variant",
    "prompt",
    "seed",
    "rubric",
    "rank",
    "by",
    "at",
    "difference",
)


@dataclass(frozen=True, config=ConfigDict(strict=True, extra="forbid"))
class Settings:
    """`earlier`: files and folders, oldest first. `edited_fields`: of an edited one, names that its text may have."""

    earlier: list[str]
    format: Literal["text", "messages"]
    system: str | None
    edited_fields: list[str]


def rows(path: Path, settings: Settings, tools: Tools) -> Iterator[Found | Rejected]:
    """Raises: HarnessError when there is nothing to read."""
    inputs = [Path(each).expanduser() for each in settings.earlier]
    files = [*(file for each in inputs for file in _files(each, "earlier", tools)), *_files(path, "path", tools)]
    pieces = [piece for file in files for piece in read_review(file)]
    rounds = _Rounds(pieces)
    made = [rounds.row(each, settings) for each in rounds.last]
    yield from rounds.left
    yield from made
    tools.say(rounds.summary)


def digests(path: Path, settings: Settings) -> dict[str, str]:
    """Of the last round and of each earlier file, as "earlier 1: samples.jsonl"."""
    found = digests_of(path)
    for number, each in enumerate(settings.earlier, start=1):
        earlier = digests_of(Path(each).expanduser())
        found |= {f"earlier {number}: {name}": digest for name, digest in earlier.items()}
    return found


def _files(path: Path, setting: str, tools: Tools) -> list[Path]:
    """In the order of their names, 2 before 10; of data to train on the splits, of a review's folder the decisions."""
    if (path / SPLIT_FILES[0]).exists():
        return [path / name for name in SPLIT_FILES if (path / name).exists()]
    if all((path / name).exists() for name in WRITTEN):
        return [path / DECISIONS]
    what = "a file of decisions, or a folder with some"
    wanted = Wanted(suffixes=SUFFIXES, what=what, setting=f"source.{setting}")
    return sorted(wanted.files(path, tools.say, deep=False), key=_by_number)


def _by_number(file: Path) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", file.name)]


class _Rounds:
    """All rounds and lines, oldest first. `last`: what counts of each sample; `left`: what does not."""

    def __init__(self, pieces: Iterable[Piece]) -> None:
        pieces = list(pieces)
        self._samples = _samples(pieces)
        self._by_words = {_words(each): name for name, each in self._samples.items()}
        self._last: dict[str, Decided | Trained] = {}
        self.left: list[Rejected] = []
        for piece in pieces:
            if isinstance(piece, Rejected):
                self.left.append(piece)
            elif not isinstance(piece, Written):
                self._take(piece)

    @property
    def last(self) -> list[Decided | Trained]:
        return list(self._last.values())

    @property
    def summary(self) -> str:
        """How often each decision was made, and how many samples have none."""
        counts = Counter(each.decision for each in self._last.values() if isinstance(each, Decided))
        said = [f"{counts[decision]} {word}" for decision, word in (LABELS | _DONE).items()]
        lines = sum(isinstance(each, Trained) for each in self._last.values())
        undecided = len(self._samples.keys() - self._last.keys())
        return f"{', '.join(said)}; {lines} lines of training; {undecided} samples without a decision"

    def row(self, piece: Decided | Trained, settings: Settings) -> Found | Rejected:
        if isinstance(piece, Trained):
            return _as_it_was(piece)
        if piece.decision in _DONE:
            return _left(piece, f"it was {_DONE[piece.decision]}")
        return _line(piece, self._samples.get(self._sample(piece) or "", {}), self._sample(piece), settings)

    def _take(self, piece: Decided | Trained) -> None:
        key = self._sample(piece) or f"text {piece.origin} {len(self._last)}"
        before = self._last.get(key)
        if before is not None:
            if _says_nothing(piece, before):
                self.left.append(
                    _left(piece, f"it was skipped, and {before.origin} counts", "skipped after another decision")
                )
                return
            self.left.append(_left(before, f"replaced by {piece.origin}", "replaced by a later one"))
            del self._last[key]  # to stand where the later one does
        self._last[key] = piece

    def _sample(self, piece: Decided | Trained) -> str | None:
        if piece.sample is not None or isinstance(piece, Trained):
            return piece.sample
        return self._by_words.get(_words(piece.record))


def _samples(pieces: Iterable[Piece]) -> dict[str, Mapping[str, Any]]:
    """By id, from wherever theme and text stand; also beside an earlier decision."""
    samples: dict[str, Mapping[str, Any]] = {}
    for piece in pieces:
        if (
            isinstance(piece, Written | Decided)
            and piece.sample is not None
            and {"theme", "text"} <= piece.record.keys()
        ):
            samples.setdefault(piece.sample, piece.record)
    return samples


def _words(record: Mapping[str, Any]) -> tuple[str, str]:
    theme, text = ("".join(str(record[name]).split()) for name in ("theme", "text"))
    return theme, text


def _says_nothing(piece: Decided | Trained, before: Decided | Trained) -> bool:
    """A skip, unless the same review takes back with it what it said before."""
    if not isinstance(piece, Decided) or piece.decision is not Decision.SKIP:
        return False
    return not isinstance(before, Decided) or before.file != piece.file


def _left(piece: Decided | Trained, reason: str, sort: str | None = None) -> Rejected:
    text = piece.record.get("text") or piece.sample or piece.record
    return Rejected.of(text, origin=piece.origin, kind=Kind.UNWANTED, reason=reason, sort=sort)


def _as_it_was(piece: Trained) -> Found:
    """A line of training with all that it has, its weight too, on the side where it was."""
    lineage, label = piece.record.get("lineage"), piece.record.get("label")
    return Found(
        line={name: value for name, value in piece.record.items() if name not in ("lineage", "label")},
        origin=piece.origin,
        group=None if piece.sample is None else f"sample {piece.sample}",
        split=_HELD_OUT.get(piece.file.name),
        label=None if label is None else str(label),
        lineage=lineage if isinstance(lineage, dict) else {},
    )


def _line(piece: Decided, sample: Mapping[str, Any], name: str | None, settings: Settings) -> Found | Rejected:
    """`sample`: what is known of it elsewhere; `name`: its id."""
    known = {**sample, **{key: value for key, value in piece.record.items() if value is not None}}
    theme, text = known.get("theme"), _text(piece, known, settings)
    for what, value in (("theme", theme), ("text", text)):
        if fault := _fault(what, value, piece, settings):
            return Rejected.of(piece.record, origin=piece.origin, kind=fault[0], reason=fault[1])
    lineage = {"sample": name} | {key: known.get(key) for key in _LINEAGE}
    lineage |= {"decision": piece.decision.value, "review": piece.file.name}
    weight = {"weight": known["weight"]} if "weight" in known else {}
    return Found(
        line=to_line(clean(str(theme)), clean(str(text)), settings.system, settings.format) | weight,
        origin=piece.origin,
        group=None if name is None else f"sample {name}",
        label=LABELS[piece.decision],
        lineage={key: value for key, value in lineage.items() if value is not None},
    )


def _text(piece: Decided, known: Mapping[str, Any], settings: Settings) -> Any:
    """What was edited stands with the decision; what was accepted may stand with the sample alone."""
    if piece.decision is not Decision.EDIT:
        return known.get("text")
    return next((piece.record[name] for name in settings.edited_fields if piece.record.get(name) is not None), None)


def _fault(what: str, value: Any, piece: Decided, settings: Settings) -> tuple[Kind, str] | None:
    if value is None and what == "text" and piece.decision is Decision.EDIT:
        return Kind.SHAPE, f"an edited sample must have its new text as {' or '.join(settings.edited_fields)}"
    if value is None:
        return Kind.SHAPE, f"sample {piece.sample} has no {what} here; name its samples file in source.earlier"
    if not isinstance(value, str):
        return Kind.TYPE, f"the {what} must be a text, but it is a {type(value).__name__}"
    return None if clean(value) else (Kind.EMPTY, f"the {what} is empty")
