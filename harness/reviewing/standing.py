"""What stands of a person's decisions after all events: pure folding, nothing of databases or pages.

An event is never changed. Undoing is an event too: it takes back the newest one of that person that still stands, so
that undoing goes back to the beginning, edits and notes included.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from harness.data.reviews import Decision


class Preferred(StrEnum):
    """Of two texts side by side. `SKIP`: the person will not say."""

    LEFT = "left"
    RIGHT = "right"
    TIE = "tie"
    SKIP = "skip"


KEPT = (Decision.ACCEPT, Decision.EDIT)


@dataclass(frozen=True, kw_only=True)
class Said:
    """All that a person says of an item. `decision`: None where there is a note alone."""

    decision: str | None
    edited: str | None = None
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What was decided on, for the record: one text's key, or those of left and right.

    `rank` and `rubric`: of the judge's ranking at that time, which the person was not shown.
    """

    texts: tuple[str, ...]
    again: bool = False
    rank: float | None = None
    rubric: str | None = None


@dataclass(frozen=True, kw_only=True)
class Event:
    """`revision`: which of a person's events on an item, from 1; `request`: by which a page's attempts are told apart.

    `said`: None for an undoing, which takes back `undoes`.
    """

    number: int
    at: float  # seconds since the epoch
    reviewer: str
    item: str
    revision: int
    request: str
    shown: Shown
    said: Said | None
    undoes: int | None = None


@dataclass
class Person:
    """One person's events, folded. `revisions`: how many on an item, those that were undone and undoings included."""

    revisions: dict[str, int] = field(default_factory=dict)
    _undoable: list[Event] = field(default_factory=list)
    _of_item: dict[str, list[Event]] = field(default_factory=dict)
    _depths: dict[int, int] = field(default_factory=dict)

    def take(self, event: Event) -> None:
        """The next event, in order."""
        self.revisions[event.item] = event.revision
        if event.said is not None:
            self._undoable.append(event)
            self._depths[event.number] = len(self._undoable)
            self._of_item.setdefault(event.item, []).append(event)
        else:
            assert self._undoable and self._undoable[-1].number == event.undoes, "undone in order"
            self._undoable.pop()
            self._of_item[event.item].pop()

    @property
    def newest(self) -> Event | None:
        """What an undoing would take back."""
        return self._undoable[-1] if self._undoable else None

    def on(self, item: str) -> Event | None:
        """What stands of an item."""
        of_item = self._of_item.get(item)
        return of_item[-1] if of_item else None

    def since(self, item: str) -> int:
        """How much was said after what stands of an item."""
        event = self.on(item)
        return 0 if event is None else len(self._undoable) - self._depths[event.number]

    def said(self, item: str) -> Said:
        event = self.on(item)
        return event.said if event is not None and event.said is not None else Said(decision=None)

    def decided(self, item: str) -> str | None:
        return self.said(item).decision

    def decisions(self) -> Iterator[tuple[str, str]]:
        """Item and decision of all that are decided."""
        for item, events in self._of_item.items():
            decided = events[-1].said.decision if events and events[-1].said else None
            if decided is not None:
                yield item, decided

    @property
    def standing(self) -> list[Event]:
        """What stands of each item with a decision, in the order of time."""
        last = [each[-1] for each in self._of_item.values() if each]
        decided = [event for event in last if event.said is not None and event.said.decision is not None]
        return sorted(decided, key=lambda event: event.number)


def people_of(events: Iterable[Event]) -> dict[str, Person]:
    """By name."""
    people: dict[str, Person] = {}
    for event in events:
        people.setdefault(event.reviewer, Person()).take(event)
    return people
