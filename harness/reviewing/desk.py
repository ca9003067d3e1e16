"""What each person has before them and may say of it: the queue, the events and the filters put together.

Every answer is blind: theme and text, and nothing of who wrote them or what a judge thought. Knows nothing of HTTP.
"""

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import HarnessError
from harness.reviewing.events import Events
from harness.reviewing.judged import Judged
from harness.reviewing.measures import Share, measures
from harness.reviewing.pairs import lay_out_pairs
from harness.reviewing.queue import Item, QueueSettings, far, lay_out
from harness.reviewing.saying import Fault, Look, Mode, SayingError, checked, named
from harness.reviewing.standing import Event, Person, Said, Shown, people_of
from harness.reviewing.texts import Texts, read_texts


class Desk:
    """One file under review. Not for two threads at once."""

    def __init__(
        self, file: Path, events: Events, judged: Judged, settings: QueueSettings, *, look_every: float = 1.0
    ) -> None:
        """`look_every`: seconds, before it is seen again whether the file has grown.

        Raises:
            HarnessError: when there is nothing to review.
        """
        self._look_every = look_every
        self.file, self._events, self.judged, self._settings = file, events, judged, settings
        past = events.all()
        self.people = people_of(past)
        self._answered = {(event.reviewer, event.request): event for event in past}
        self._known: dict[str, Item] = {}
        self._looked, self._stamp = time.monotonic(), _stamp(file)
        self._lay_out()

    def _lay_out(self) -> None:
        found = texts_of(self.file, self._events)
        self.repeated = found.repeated
        self._items = {
            Mode.TEXTS: lay_out(found.texts, self.judged.worth, self._settings),
            Mode.PAIRS: lay_out_pairs(found.texts, self._settings),
        }
        self._of_theme = {mode: Counter(item.theme for item in items) for mode, items in self._items.items()}
        # what is on somebody's screen may leave the file meanwhile, as when duplicates are marked
        self._known |= {item.key: item for items in self._items.values() for item in items}
        self._places = {item.key: (mode, at) for mode, items in self._items.items() for at, item in enumerate(items)}

    def refresh(self) -> None:
        """Let texts join that were appended to the file."""
        if time.monotonic() - self._looked < self._look_every:
            return
        self._looked, stamp = time.monotonic(), _stamp(self.file)
        if stamp is None or stamp == self._stamp:
            return
        try:
            self._lay_out()
        except HarnessError:  # it is being written anew: what was there is gone on with
            return
        self._stamp = stamp

    def view(self, reviewer: str, look: Look, at: str | None = None, step: int = 0) -> dict[str, Any]:
        """What a page shows. `at`: an item; `step`: 0 for it or what follows it, 1 for the next, -1 for the one before.

        Raises:
            SayingError: for a name that is none.
        """
        person = self._person(named(reviewer))
        items = self._items[look.mode]
        place = self._places.get(at or "")
        start = place[1] if place is not None and place[0] is look.mode else None
        can = self._can_repeat(person, look.mode)
        around = _around(len(items), start, step)
        found = next((items[each] for each in around if _matches(items[each], person, look, can)), None)
        return self._shown(person, look, found)

    def say(
        self, reviewer: str, look: Look, *, item: str, revision: int, request: str, said: Said, stay: bool
    ) -> dict[str, Any]:
        """Save what a person says of an item; returns what comes next, or with `stay` the same item.

        `revision`: of the item as the page had it; `request`: the page's own name for this attempt, by which another
        attempt at the same is not taken twice.

        Raises:
            SayingError: when the page was stale, the item is not there, or what was said is nothing to save.
            WriteError: when it could not be saved.
        """
        reviewer = named(reviewer)
        person, shown = self._person(reviewer), self._item(item)
        said = checked(said, shown)
        if not self._was_taken(reviewer, request, item=item, said=said):
            self._refuse_stale(person, item, revision)
            self._add(person, reviewer, shown, request, said=said)
        if stay:
            return self._shown(person, look, shown)
        return self.view(reviewer, look, at=item, step=1)

    def undo(self, reviewer: str, look: Look, *, newest: int, request: str) -> dict[str, Any]:
        """Take back the newest event, and show its item. `newest`: the one that the page means.

        Raises:
            SayingError: when there is none, or another is the newest by now.
            WriteError: when it could not be saved.
        """
        reviewer = named(reviewer)
        person = self._person(reviewer)
        if self._was_taken(reviewer, request, undoes=newest):
            return self._shown_alone(person, look, self._answered[reviewer, request])
        event = person.newest
        if event is None:
            raise SayingError(Fault.STALE, "there is nothing to undo, in another tab it was undone before")
        if event.number != newest:
            raise SayingError(Fault.STALE, "in another tab something was decided since: here is how it stands")
        texts = self._events.texts()
        undone = self._take(
            self._events.add(
                reviewer=reviewer,
                item=event.item,
                revision=person.revisions[event.item] + 1,
                request=request,
                shown=event.shown,
                texts=[texts[key] for key in event.shown.texts],
                said=None,
                undoes=event.number,
            )
        )
        view = self._shown_alone(person, look, undone)
        assert event.said is not None
        said = {"decision": event.said.decision, "edited": event.said.edited, "note": event.said.note}
        return view | {"undone": {"item": event.item} | said}

    def themes(self, reviewer: str, mode: Mode) -> list[dict[str, Any]]:
        """Each with how many of its items are left."""
        person = self._person(named(reviewer))
        left = Counter(item.theme for item in self._items[mode] if person.decided(item.key) is None)
        return [{"theme": theme, "left": left[theme], "of": of} for theme, of in self._of_theme[mode].items()]

    def measures(self, reviewer: str) -> list[Share]:
        """What one person's decisions say of the review so far."""
        samples = {text.key: text.sample for item in self._items[Mode.TEXTS] for text in item.texts}
        samples |= {key: text.sample for key, text in self._events.texts().items()}
        return measures(self._person(named(reviewer)), self.people, self.judged.orders, samples)

    def _person(self, reviewer: str) -> Person:
        return self.people.setdefault(reviewer, Person())

    def _item(self, key: str) -> Item:
        if key not in self._known:
            raise SayingError(Fault.UNKNOWN, "this text is no longer in the file under review: load the page again")
        return self._known[key]

    def _was_taken(
        self,
        reviewer: str,
        request: str,
        *,
        item: str | None = None,
        said: Said | None = None,
        undoes: int | None = None,
    ) -> bool:
        """Whether this very attempt was taken before."""
        event = self._answered.get((reviewer, request))
        if event is None:
            return False
        if event.said != said or event.undoes != undoes or (item is not None and event.item != item):
            raise SayingError(Fault.REFUSED, f"request={request} was said of something else; give each attempt a name")
        return True

    def _refuse_stale(self, person: Person, item: str, revision: int) -> None:
        if revision == person.revisions.get(item, 0):
            return
        decided = person.decided(item)
        how = "it is open" if decided is None else f"it stands as: {decided}"
        raise SayingError(Fault.STALE, f"this text was decided on elsewhere meanwhile, and nothing changed now: {how}")

    def _add(self, person: Person, reviewer: str, item: Item, request: str, *, said: Said) -> None:
        rubric = self.judged.rubric if item.rank is not None else None
        keys = tuple(text.key for text in item.texts)
        self._take(
            self._events.add(
                reviewer=reviewer,
                item=item.key,
                revision=person.revisions.get(item.key, 0) + 1,
                request=request,
                shown=Shown(texts=keys, again=item.first is not None, rank=item.rank, rubric=rubric),
                texts=item.texts,
                said=said,
            )
        )

    def _take(self, event: Event) -> Event:
        self.people[event.reviewer].take(event)
        self._answered[event.reviewer, event.request] = event
        return event

    def _can_repeat(self, person: Person, mode: Mode) -> "_CanRepeat":
        items = self._items[mode]
        others = any(item.first is None and person.decided(item.key) is None for item in items)
        return _CanRepeat(person, far(len(items)) if others else 0)

    def _shown(self, person: Person, look: Look, item: Item | None) -> dict[str, Any]:
        newest = person.newest
        return {
            "mode": look.mode,
            "item": None if item is None else _blind(item, person),
            "counts": self._counts(person, look),
            "undo": None if newest is None else newest.number,
        }

    def _shown_alone(self, person: Person, look: Look, event: Event) -> dict[str, Any]:
        """The item of an event, whatever the filters say."""
        place = self._places.get(event.item)
        if place is None:  # its text left the file
            return self.view(event.reviewer, look)
        mode, at = place
        return self._shown(person, Look(mode=mode, theme=look.theme, state=look.state), self._items[mode][at])

    def _counts(self, person: Person, look: Look) -> dict[str, Any]:
        """`said`: by decision, apart from what is left: of two texts one may be preferred that is called so."""
        counts: Counter[str] = Counter()
        for key, decision in person.decisions():
            mode, at = self._places.get(key, (None, 0))
            if mode is look.mode and look.theme in (None, self._items[mode][at].theme):
                counts[decision] += 1
        total = len(self._items[look.mode]) if look.theme is None else self._of_theme[look.mode][look.theme]
        return {"left": total - counts.total(), "said": dict(counts), "total": total}


@dataclass(frozen=True)
class _CanRepeat:
    """Whether a repeat may come: its first showing is decided and `distance` others since, or only repeats are left."""

    person: Person
    distance: int

    def __call__(self, first: str) -> bool:
        return self.person.decided(first) is not None and self.person.since(first) >= self.distance


def _around(many: int, start: int | None, step: int) -> Iterator[int]:
    """Each place once, from `start` on in the direction of `step`, itself first or last."""
    if start is None:
        yield from range(many) if step >= 0 else reversed(range(many))
        return
    direction = -1 if step < 0 else 1
    yield from ((start + direction * (each + abs(step))) % many for each in range(many))


def _matches(item: Item, person: Person, look: Look, can_repeat: _CanRepeat) -> bool:
    if look.theme is not None and item.theme != look.theme:
        return False
    decided = person.decided(item.key)
    if decided is None and item.first is not None and not can_repeat(item.first):
        return False
    return look.state == "all" or look.state == (decided or "open")


def _blind(item: Item, person: Person) -> dict[str, Any]:
    said = person.said(item.key)
    return {
        "key": item.key,
        "revision": person.revisions.get(item.key, 0),
        "theme": item.theme,
        "texts": [text.text for text in item.texts],
        "decision": said.decision,
        "edited": said.edited,
        "note": said.note,
    }


def texts_of(file: Path, events: Events) -> Texts:
    """Of the file; where that is gone, those that something was said of.

    Raises:
        HarnessError: when there is neither.
    """
    kept = [] if file.exists() else list(events.texts().values())
    return Texts(kept, 0) if kept else read_texts(file)


def _stamp(file: Path) -> tuple[int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
