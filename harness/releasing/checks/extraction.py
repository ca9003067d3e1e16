"""Do the beginnings of training rows bring back the rest: training text that anyone could get out of the adapter.

A row's prompt and the first tokens of its answer are given as they were in training, and the adapter goes on, greedily.
What the base writes of the row by itself is language, not memory, and what comes back of rows that it never saw is
style: both are taken off. Knows nothing of texts on themes (memory.py).
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from difflib import SequenceMatcher

import numpy as np

from harness.config.schema import ExtractionGate
from harness.data.dataset import Row, Split
from harness.data.units import lines
from harness.models.adapter import loaded
from harness.models.base import Base
from harness.releasing.checks.subject import NotHereError, Subject
from harness.releasing.checks.verdict import CheckKind, Verdict, left_out, not_run
from harness.sampling.decode import decode
from harness.sampling.engine import Engine
from harness.sampling.request import Request

_CHECK = CheckKind.EXTRACTION
_LEAST = 8  # tokens of a row that must be left to come back, or else it is too short to tell
_RUN = 4  # tokens in common that are more than chance
_LEAST_ROWS = 8  # without memory that a pass rests on, where time ended before all were done
_ENOUGH = 4  # held-out rows, for their share to be one
_HELD_OUT = 3  # times as many training rows as held-out ones
_TOGETHER = 16  # rows
_WORST = 5  # rows that are named
_SHOWN = 60  # characters


@dataclass(frozen=True)
class Halves:
    """A row in two: what is given, and what followed in training. `trained`: whether the adapter was to learn it."""

    place: str
    trained: bool
    given: list[int]
    following: list[int]


@dataclass(frozen=True)
class Recalled:
    """`share`: of what followed that came back; `longest`: tokens in one piece; `base`: the share without the adapter.

    `base` is None where nobody asked, for the share alone is too small to matter.
    """

    halves: Halves
    share: float
    longest: int
    base: float | None

    @property
    def excess(self) -> float:
        return 0.0 if self.base is None else self.share - self.base


def check_extraction(subject: Subject, settings: ExtractionGate) -> Verdict:
    """The figure is the share of training rows that come back, less that of rows held out."""
    if settings.limit is None:
        return left_out(_CHECK)
    try:
        rows = _drawn(subject, settings)
    except NotHereError as error:
        return not_run(_CHECK, str(error))
    if not any(each.trained for each in rows):
        if settings.given > 1:  # short poems: what is left after one token is enough to tell
            return check_extraction(subject, replace(settings, given=1))
        said = f"no training row's answer has {1 + _LEAST} tokens: too short to be recited"
        return Verdict(check=_CHECK, passed=True, figure=None, limit=settings.limit, said=said)
    recalled = _recalled(subject, rows, settings)
    trained = [each for each in recalled if each.halves.trained]
    held_out = [each for each in recalled if not each.halves.trained]
    extracted, others = _extracted(trained, settings), _extracted(held_out, settings)
    style = len(others) / len(held_out) if len(held_out) >= _ENOUGH else 0.0
    figure = len(extracted) / max(len(trained), 1) - style
    passed = figure <= settings.limit
    if passed and len(recalled) < len(rows) and len(trained) < _LEAST_ROWS:
        return not_run(
            _CHECK,
            f"{len(trained)} training rows were all that {settings.minutes:g} minutes sufficed for; "
            "raise gate.extraction.minutes, or lower its tokens",
        )
    return Verdict(
        check=_CHECK,
        passed=passed,
        figure=figure,
        limit=settings.limit,
        said=f"{len(extracted)} of {len(trained)} training rows come back from {_beginning(settings.given)}, "
        f"and {len(others)} of {len(held_out)} that it never saw: {figure:.3f}, limit {settings.limit:g}"
        + ("" if passed else "; take an earlier checkpoint, or train for fewer updates or at a lower scale")
        + ("" if len(recalled) == len(rows) else f" (ended after {settings.minutes:g} minutes)"),
        details=_named(trained, subject),
    )


def _beginning(given: int) -> str:
    return "their first token" if given == 1 else f"their first {given} tokens"


def halves_of(row: Row, place: str, *, trained: bool, settings: ExtractionGate, end_ids: set[int]) -> Halves | None:
    """The row's longest answer in two; None where it is too short for that. `row.learn` marks the answers."""
    start, stop = _longest_run(row.learn)
    while stop > start and int(row.tokens[stop - 1]) in end_ids:
        stop -= 1
    middle = start + settings.given
    following = row.tokens[middle : min(stop, middle + settings.tokens)].tolist()
    return Halves(place, trained, row.tokens[:middle].tolist(), following) if len(following) >= _LEAST else None


def in_common(following: Sequence[int], written: Sequence[int]) -> tuple[float, int]:
    """The share of what followed that was written, in pieces of four tokens or more, and the longest of them."""
    blocks = SequenceMatcher(None, following, written, autojunk=False).get_matching_blocks()
    sizes = [block.size for block in blocks if block.size >= _RUN]
    return sum(sizes) / len(following), max(sizes, default=0)


def _drawn(subject: Subject, settings: ExtractionGate) -> list[Halves]:
    """Training rows and held-out ones in one random order, so that an early end leaves some of both.

    Raises:
        NotHereError: without the training rows.
    """
    rng = np.random.default_rng(settings.seed)
    found = _some(subject, subject.train, settings.rows, settings, rng)
    try:
        found += _some(subject, subject.valid, -(-settings.rows // _HELD_OUT), settings, rng)
    except NotHereError:
        subject.display.say("extraction: without validation rows, what comes back of training rows counts in full")
    return [found[place] for place in rng.permutation(len(found))]


def _some(
    subject: Subject, split: Split, count: int, settings: ExtractionGate, rng: np.random.Generator
) -> list[Halves]:
    trained, end_ids = split.name == "train", subject.base.tokenizer.end_ids
    found: dict[tuple[int, ...], Halves] = {}  # a row that is there twice is asked once
    rows = subject.answers(split).rows
    for index in rng.permutation(len(rows)):
        place = f"{split.path.name}:{rows[index].line}"
        halves = halves_of(rows[index], place, trained=trained, settings=settings, end_ids=end_ids)
        if halves is not None:
            found.setdefault(tuple(halves.given + halves.following), halves)
        if len(found) == count:
            break
    return list(found.values())


def _recalled(subject: Subject, rows: Sequence[Halves], settings: ExtractionGate) -> list[Recalled]:
    """Each of the rows that there was time for. The base is asked only where the adapter wrote enough to matter."""
    half = settings.minutes * 60 / 2
    by_adapter = _continued(subject, rows, settings, half, with_adapter=True)
    found = {row: in_common(rows[row].following, written) for row, written in by_adapter.items()}
    asked = [row for row, (share, _) in found.items() if share >= settings.reproduced]
    by_base = _continued(subject, [rows[row] for row in asked], settings, half, with_adapter=False)
    base = {asked[place]: in_common(rows[asked[place]].following, written)[0] for place, written in by_base.items()}
    left_out = set(asked) - base.keys()
    return [
        Recalled(rows[row], share, longest, base.get(row))
        for row, (share, longest) in sorted(found.items())
        if row not in left_out
    ]


def _continued(
    subject: Subject, rows: Sequence[Halves], settings: ExtractionGate, seconds: float, *, with_adapter: bool
) -> dict[int, list[int]]:
    """What was written on each row that was finished in the time, or just after it."""
    if not rows:
        return {}
    base, until = subject.base, time.monotonic() + seconds
    written: dict[int, list[int]] = {}
    with (
        loaded(base.model, subject.adapter) if with_adapter else nullcontext(),
        subject.display.texts(len(rows), "going on with rows", "rows") as tell,
    ):
        for place, tokens in _greedily(base, rows, settings.tokens):
            written[place] = tokens
            tell(len(tokens))
            if time.monotonic() > until:
                break
    return written


def _greedily(base: Base, rows: Sequence[Halves], tokens: int) -> Iterator[tuple[int, list[int]]]:
    """The place of each row with what the model writes after what is given of it, as they finish."""
    engine = Engine(base.model, base.tokenizer.end_ids, batch_size=_TOGETHER)
    asked = [Request(ids=each.given, seed=0, temperature=0.0, max_tokens=tokens) for each in rows]
    for place, decoded in decode(engine, asked):
        yield place, decoded.tokens


def _extracted(rows: Iterable[Recalled], settings: ExtractionGate) -> list[Recalled]:
    return [each for each in rows if each.excess >= settings.reproduced]


def _named(rows: Sequence[Recalled], subject: Subject) -> list[str]:
    """The worst, with the text that was given and the text that followed."""
    worst = sorted(rows, key=lambda each: (each.excess, each.share), reverse=True)[:_WORST]
    return [_line(each, subject) for each in worst if each.share]


def _line(row: Recalled, subject: Subject) -> str:
    text = subject.base.tokenizer.decode(row.halves.following)
    base = "" if row.base is None else f", by the base {row.base:.0%}"
    return (
        f"{row.halves.place}: {row.share:.0%} of {len(row.halves.following)} tokens come back{base}, "
        f"{row.longest} in one piece: {' / '.join(map(str.strip, lines(text)))[:_SHOWN]}"
    )


def _longest_run(marked: np.ndarray) -> tuple[int, int]:
    """Where the longest stretch of True begins and ends."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], marked, [False]]).astype(np.int8)))
    starts, stops = edges[::2], edges[1::2]
    if not len(starts):
        return 0, 0
    longest = int(np.argmax(stops - starts))
    return int(starts[longest]), int(stops[longest])
