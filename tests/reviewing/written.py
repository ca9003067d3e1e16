"""Samples, rankings and reviews as the tests need them. Knows no browser."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from harness.reviewing.app import create_app
from harness.reviewing.desk import Desk
from harness.reviewing.events import Events
from harness.reviewing.exports import export
from harness.reviewing.judged import UNJUDGED, Judged
from harness.reviewing.queue import Order, QueueSettings
from harness.reviewing.saying import Look
from harness.reviewing.standing import Said
from harness.sampling.samples import Sample, append_sample
from harness.web.guard import Door

QUEUE = QueueSettings(order=Order.FILE, explore=0.0, repeats=0.0, top=None, seed=0, secret="s")
ADA = "ada"


def sample(number: int, *, theme: str = "river", text: str | None = None, **values: Any) -> Sample:
    """The `number`th text; adapters take turns."""
    known: dict[str, Any] = {
        "base": "builtin:tiny",
        "adapter": f"runs:/{'ab'[number % 2] * 8}",
        "run": "ab"[number % 2] * 8,
        "iteration": 600,
        "theme": theme,
        "variant": "base",
        "code": 600,
        "index": 0,
        "prompt": f"<user>{theme}",
        "seed": number,
        "temperature": 0.8,
        "top_p": 1.0,
        "max_tokens": 64,
        "text": f"line one of {number}\nline two of {number}" if text is None else text,
        "tokens": 9,
        "seconds": 0.1,
        "finish_reason": "stop",
    }
    return Sample(**known | values)


def write_samples(file: Path, samples: Sequence[Sample]) -> Path:
    for each in samples:
        append_sample(file, each)
    return file


def judged_as(worth: dict[str, float]) -> Judged:
    """A ranking by these samples' worth, without blocks."""
    return replace(UNJUDGED, worth=worth, rubric="r1", judges=("judge",), places={each: ["1/2"] for each in worth})


@contextmanager
def desk_of(file: Path, judged: Judged = UNJUDGED, *, look_every: float = 1.0, **settings: Any) -> Iterator[Desk]:
    """Opened as a command would, on the database beside the file."""
    events = Events(file.with_suffix(".review.sqlite"))
    try:
        yield Desk(file, events, judged, replace(QUEUE, **settings), look_every=look_every)
    finally:
        events.close()


@contextmanager
def client_of(file: Path, door: Door | None = None, **settings: Any) -> Iterator[TestClient]:
    """The page's server, in this process."""
    door = door or Door(host="127.0.0.1", port=8400, page="review")
    events = Events(file.with_suffix(".review.sqlite"))
    desk = Desk(file, events, UNJUDGED, replace(QUEUE, **settings))

    def write() -> list[Path]:
        return export(file.parent / "out", desk.people, events.texts(), system=None, measures={})

    app = create_app(desk, door, about={"review": "r", "reviewer": ADA, "pause": 0.3}, export=write)
    try:
        yield TestClient(app, base_url=f"http://127.0.0.1:{door.port}", follow_redirects=False)
    finally:
        events.close()


class Hand:
    """A person at a desk, who decides what is before them."""

    def __init__(self, desk: Desk, name: str = ADA, look: Look | None = None) -> None:
        self.desk, self.name, self.look, self._number = desk, name, look or Look(), 0
        self.view: dict[str, Any] = {}
        self.see()

    def see(self, at: str | None = None, step: int = 0) -> dict[str, Any] | None:
        self.view = self.desk.view(self.name, self.look, at, step)
        return self.item

    @property
    def item(self) -> dict[str, Any] | None:
        found: dict[str, Any] | None = self.view["item"]
        return found

    def say(self, decision: str | None, edited: str | None = None, note: str = "", stay: bool = False) -> None:
        assert self.item is not None
        self._number += 1
        self.view = self.desk.say(
            self.name,
            self.look,
            item=self.item["key"],
            revision=self.item["revision"],
            request=f"{self.name} {id(self)} {self._number}",
            said=Said(decision=decision, edited=edited, note=note),
            stay=stay,
        )

    def undo(self) -> None:
        self._number += 1
        request = f"{self.name} {id(self)} {self._number}"
        self.view = self.desk.undo(self.name, self.look, newest=self.view["undo"], request=request)


def lines_of(file: Path) -> list[Any]:
    return [json.loads(line) for line in file.read_text("utf-8").split("\n") if line]
