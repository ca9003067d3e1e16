"""A thread that tells MLflow what was decided, each sample as a trace of the run that wrote it.

Nothing that goes wrong there reaches the page: decisions are in the review's file first, and what MLflow missed is
told the next time. Knows which of them it has not heard of; not how it is told (see tracking/feedback.py).
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from harness.errors import reason
from harness.reviewing.events import Events
from harness.reviewing.judged import Judged
from harness.reviewing.standing import Event, Person, people_of
from harness.reviewing.texts import Text
from harness.tracking.opinions import Feedback, Reviewed

_GATHERING_SECONDS = 2.0
_PATIENCE_SECONDS = 10.0  # at the end, with nothing told
_ORIGIN = ("base", "adapter", "iteration", "scale", "variant", "seed", "temperature", "top_p")

# tells of one sample; False where its run is not in the store
Tell = Callable[[Reviewed], bool]


@dataclass(frozen=True)
class _Due:
    """A text of which MLflow has not heard the newest. `newest`: the number of each person's last event on it."""

    text: Text
    newest: Mapping[str, int]

    @property
    def run(self) -> str:
        return str(self.text.record["run"])


class Teller:
    """`connect`: opens the store, called in the thread and only when there is something to tell."""

    def __init__(self, events: Events, judged: Judged, connect: Callable[[], Tell]) -> None:
        self._events, self._judged, self._connect = events, judged, connect
        self._tell: Tell | None = None
        self._elsewhere: set[str] = set()  # runs that the store does not know
        self._wake, self._moved, self._over = threading.Event(), threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._work, name="telling MLflow", daemon=True)
        self.trouble: str | None = None

    def start(self) -> None:
        """What an earlier session left is told too."""
        self._wake.set()
        self._thread.start()

    def changed(self) -> None:
        self._wake.set()

    @property
    def waiting(self) -> int:
        """How many samples MLflow has not heard the newest of."""
        return sum(each.run not in self._elsewhere for each in self._due())

    def finish(self) -> int:
        """Tell the rest, as long as MLflow takes it; returns how many samples still wait."""
        self._over.set()
        self._wake.set()
        while self._thread.is_alive():
            self._moved.clear()
            self._thread.join(0.05)
            if self._thread.is_alive() and not self._moved.wait(_PATIENCE_SECONDS):
                break
        return self.waiting

    def _work(self) -> None:
        while self._wake.wait():
            self._over.wait(_GATHERING_SECONDS)
            last = self._over.is_set()
            self._wake.clear()
            try:
                self._tell_all()
                self.trouble = None
            except Exception as error:  # SQLAlchemy's, requests' and MLflow's errors share no base class
                self.trouble = reason(error)
            self._moved.set()
            if last:
                return

    def _tell_all(self) -> None:
        due = list(self._due())
        if not due:
            return
        people, tell = people_of(self._events.all()), self._tell or self._connect()
        self._tell = tell
        for each in due:
            if each.run in self._elsewhere:
                continue
            if not tell(self._reviewed(each, people)):
                self._elsewhere.add(each.run)
                continue
            for reviewer, number in each.newest.items():
                self._events.mark_told(each.text.key, reviewer, number)
            self._moved.set()

    def _due(self) -> Iterator[_Due]:
        newest: dict[str, dict[str, int]] = {}
        for event in self._events.all():
            if len(event.shown.texts) == 1:
                newest.setdefault(event.shown.texts[0], {})[event.reviewer] = event.number
        told, texts = self._events.told(), self._events.texts()
        for key, of_text in newest.items():
            if texts[key].record.get("run") and any(
                told.get((key, who), 0) < number for who, number in of_text.items()
            ):
                yield _Due(texts[key], of_text)

    def _reviewed(self, due: _Due, people: Mapping[str, Person]) -> Reviewed:
        text = due.text
        said = [(name, event) for name in due.newest for event in _on(text, people[name])]
        return Reviewed(
            key=text.key,
            run=due.run,
            theme=text.theme,
            prompt=str(text.record.get("prompt", "")),
            text=text.text,
            origin={name: str(text.record[name]) for name in _ORIGIN if text.record.get(name) is not None},
            feedback=[*(_of_person(name, event) for name, event in said), *self._of_judge(text)],
            speakers=set(due.newest),
        )

    def _of_judge(self, text: Text) -> Iterator[Feedback]:
        judged, by = self._judged, ", ".join(self._judged.judges)
        more = {"rubric": judged.rubric or ""}
        if text.sample in judged.worth:
            places = f"places {', '.join(judged.places[text.sample])}"
            worth = round(judged.worth[text.sample], 3)
            yield Feedback(name="judge", value=worth, by=by, person=False, why=places, more=more)
        for criterion, mark in judged.marks.get(text.sample, {}).items():
            yield Feedback(
                name=f"judge/{criterion}", value=mark["score"], by=by, person=False, why=mark["reason"], more=more
            )


def _on(text: Text, person: Person) -> list[Event]:
    """First and second sight of a text, as far as they stand."""
    return [event for event in person.standing if event.shown.texts == (text.key,)]


def _of_person(name: str, event: Event) -> Feedback:
    assert event.said is not None and event.said.decision is not None, "it stands"
    more = {} if event.said.edited is None else {"edited": event.said.edited}
    return Feedback(
        name="review, second sight" if event.shown.again else "review",
        value=event.said.decision,
        by=name,
        person=True,
        why=event.said.note or None,
        more=more,
    )
