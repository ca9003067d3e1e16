"""What a review says of itself: whether the ranking chose well, and how far a person agrees with themselves and others.

Shares with their intervals, from the first decisions on. Computes; does not show.
"""

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from harness.data.reviews import Decision
from harness.judging.agreement import WORTH
from harness.reviewing.queue import LOWER
from harness.reviewing.standing import KEPT, Event, Person, Preferred

_Z = 1.96  # of a 95 % interval
_SIDES = {Preferred.LEFT: Preferred.RIGHT, Preferred.RIGHT: Preferred.LEFT}


@dataclass(frozen=True)
class Share:
    """`hits` of `of`, with what it is a share of."""

    what: str
    hits: int
    of: int

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's, 95 %."""
        share, spread = self.hits / self.of, _Z**2 / self.of
        half = _Z * math.sqrt(share * (1 - share) / self.of + spread / (4 * self.of))
        return max(0.0, (share + spread / 2 - half) / (1 + spread)), min(
            1.0, (share + spread / 2 + half) / (1 + spread)
        )

    @property
    def said(self) -> str:
        if not self.of:
            return "none yet"
        low, high = self.interval
        return f"{self.hits} of {self.of}: {self.hits / self.of:.0%} ({low:.0%} to {high:.0%})"

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"said": self.said, "interval": self.interval if self.of else None}


def measures(
    person: Person, people: Mapping[str, Person], orders: Iterable[Sequence[str]], samples: Mapping[str, str]
) -> list[Share]:
    """Of one person. `orders`: ids of the judge's blocks, the best first; `samples`: from a text's key to its id."""
    texts = [event for event in person.standing if len(event.shown.texts) == 1]
    pairs = [event for event in person.standing if len(event.shown.texts) == 2]
    first = [event for event in texts if not event.shown.again]
    return [
        _kept("kept, as they are or edited", first),
        *_of_ranks(first),
        *_with_judge(first, orders, samples),
        *_twice("decided the same at second sight", texts, _decision),
        *_twice("of these, kept or not kept the same", texts, _is_kept),
        *_others(first, person, people),
        *_pairs(pairs),
    ]


def _decision(event: Event) -> str | None:
    return None if event.said is None or event.said.decision == Decision.SKIP else event.said.decision


def _is_kept(event: Event) -> str | None:
    decision = _decision(event)
    return decision and str(decision in KEPT)


def _kept(what: str, events: Sequence[Event]) -> Share:
    said = [event for event in events if _decision(event) is not None]
    return Share(what, sum(_decision(event) in KEPT for event in said), len(said))


def _of_ranks(events: Sequence[Event]) -> Iterator[Share]:
    """Whether the ranking is worth something: what it put above is kept more often than what it put below."""
    ranked = [event for event in events if event.shown.rank is not None]
    if ranked:
        yield _kept("kept of the ranking's upper half", [e for e in ranked if (e.shown.rank or 0) < LOWER])
        yield _kept("kept of its lower half", [e for e in ranked if (e.shown.rank or 0) >= LOWER])


def _with_judge(
    events: Sequence[Event], orders: Iterable[Sequence[str]], samples: Mapping[str, str]
) -> Iterator[Share]:
    """Of two texts in a block that the person decided differently, how often the judge put the better one first."""
    worth = {samples[event.shown.texts[0]]: WORTH.get(_decision(event) or "") for event in events}
    right = []
    for order in orders:
        for better, worse in itertools.combinations(order, 2):
            one, other = worth.get(better), worth.get(worse)
            if one is not None and other is not None and one != other:
                right.append(one > other)
    if right:
        yield Share("pairs in which the judge preferred what you did", sum(right), len(right))


def _twice(what: str, events: Sequence[Event], said: Callable[[Event], str | None]) -> Iterator[Share]:
    first = {event.shown.texts[0]: said(event) for event in events if not event.shown.again}
    again = {event.shown.texts[0]: said(event) for event in events if event.shown.again}
    both = [(first.get(key), value) for key, value in again.items() if value is not None]
    same = [one == other for one, other in both if one is not None]
    yield Share(what, sum(same), len(same))


def _others(events: Sequence[Event], person: Person, people: Mapping[str, Person]) -> Iterator[Share]:
    mine = {event.item: _is_kept(event) for event in events}
    for name, other in people.items():
        if other is person:
            continue
        theirs = {event.item: _is_kept(event) for event in other.standing}
        same = [mine[item] == value for item, value in theirs.items() if value and mine.get(item)]
        if same:
            yield Share(f"kept or not kept as {name} did", sum(same), len(same))


def _pairs(events: Sequence[Event]) -> Iterator[Share]:
    """A person may prefer a side, as judges do."""
    if not events:
        return
    said = {(event.shown.texts, event.shown.again): Preferred(_preferred(event)) for event in events}
    chosen = [decision for decision in said.values() if decision in _SIDES]
    yield Share("of two texts, the left one preferred", chosen.count(Preferred.LEFT), len(chosen))
    same = []
    for (texts, again), decision in said.items():
        first = said.get((texts[::-1], False))
        if again and first is not None:
            same.append(first is _SIDES.get(decision, decision))
    yield Share("of two texts, the same at second sight, sides changed", sum(same), len(same))


def _preferred(event: Event) -> str:
    return Preferred.SKIP if event.said is None or event.said.decision is None else event.said.decision
