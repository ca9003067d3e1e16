"""A review from its command to its end: the file opened, the page served, what was decided written and told.

Knows where things lie. Does not know what a page shows, nor how a decision is stored.
"""

import getpass
import os
import secrets
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.config.paths import MLRUNS
from harness.config.schema import TrackingConfig
from harness.errors import HarnessError
from harness.files import only_process
from harness.reviewing.app import create_app
from harness.reviewing.desk import Desk, texts_of
from harness.reviewing.events import Events
from harness.reviewing.exports import export
from harness.reviewing.judged import UNJUDGED, Judged, find_judged, read_judged
from harness.reviewing.queue import Order, QueueSettings, opaque
from harness.reviewing.saying import named
from harness.reviewing.telling import Tell, Teller
from harness.reviewing.texts import read_texts
from harness.tracking import run_folder
from harness.web.guard import Door, is_loopback
from harness.web.listening import link, listening, token_for
from harness.web.server import Server

TOKEN = "HARNESS_REVIEW_TOKEN"


@dataclass(frozen=True, kw_only=True)
class Review:
    """What the command line says. `pause`: seconds after a decision in which keys do nothing.

    `ranking`: of harness.judge; None: one that is found. `order`: None: by the ranking, where there is one.
    `export`: the folder for what was decided; None: beside the samples. `system`: of the chat lines.
    """

    samples: Path
    ranking: Path | None
    order: Order | None
    top: int | None
    explore: float
    repeats: float
    seed: int
    pause: float
    reviewer: str | None
    host: str
    port: int
    export: Path | None
    system: str | None
    tracking: TrackingConfig

    def beside(self, suffix: str) -> Path:
        return self.samples.with_name(self.samples.stem + suffix)

    @property
    def folder(self) -> Path:
        return self.export or self.beside(".review")


Say = Callable[[str], None]


def serve_review(review: Review, say: Say) -> None:
    """Serve the page until a Ctrl-C; then write what was decided, and tell MLflow the rest of it.

    Raises:
        HarnessError: when there is nothing to review, the port is taken, or another process has the review.
    """
    reviewer = named(review.reviewer or getpass.getuser())
    with _opened(review, say) as (desk, events), _listening(review) as (listener, door):
        teller = Teller(events, desk.judged, lambda: _connect(review.tracking))
        about = {"review": opaque(events.secret, "page"), "reviewer": reviewer, "pause": review.pause}
        app = create_app(desk, door, about=about, export=lambda: _export(review, desk, events), changed=teller.changed)
        say(f"review: {_link(door)}")
        say("Ctrl-C ends it; the same command goes on where it was left")
        teller.start()
        try:
            Server(app).serve_on(listener)
        finally:
            _end(review, desk, events, teller, say)


def write_review(review: Review, say: Say) -> None:
    """What was decided so far, as files, without the page."""
    with _opened(review, say) as (desk, events):
        _say_written(_export(review, desk, events), desk, say)


@contextmanager
def _opened(review: Review, say: Say) -> Iterator[tuple[Desk, Events]]:
    if not review.beside(".review.sqlite").exists():
        read_texts(review.samples)  # nothing is made beside what cannot be reviewed
    with only_process(review.beside(".review.lock"), f"the review of {review.samples}"):
        events = Events(review.beside(".review.sqlite"))
        try:
            found = texts_of(review.samples, events)
            judged = _judged(review, {text.sample for text in found.texts})
            order = review.order or (Order.RANDOM if judged is UNJUDGED else Order.RANKING)
            if order is Order.RANKING and judged is UNJUDGED:
                raise HarnessError(
                    "--order=ranking needs a ranking of harness.judge with these samples; give it as --ranking"
                )
            settings = QueueSettings(
                order=order,
                explore=review.explore,
                repeats=review.repeats,
                top=review.top,
                seed=review.seed,
                secret=events.secret,
            )
            if not review.samples.exists():
                say(f"warning: {review.samples} is gone; here are the texts that something was said of")
            left_out = f"; {found.repeated} that say the same are left out" if found.repeated else ""
            by = f"the best first by {judged.file}" if order is Order.RANKING else f"order: {order}"
            say(f"{len(found.texts)} texts of {review.samples}{left_out}; {by}")
            yield Desk(review.samples, events, judged, settings), events
        finally:
            events.close()


def _judged(review: Review, ids: set[str]) -> Judged:
    """The ranking that was named, or the newest of these samples: beside them, or of a run."""
    if review.ranking is not None:
        judged = read_judged(review.ranking)
        if not ids & judged.worth.keys():
            raise HarnessError(
                f"--ranking={review.ranking} ranks none of {review.samples}; give the one that "
                f"harness.judge samples={review.samples} wrote"
            )
        return judged
    beside = review.samples.absolute().parent.glob("*.json")
    return find_judged([*beside, *(MLRUNS / "runs").glob(f"*/{run_folder.RANKING}")], ids)


@contextmanager
def _listening(review: Review) -> Iterator[tuple[socket.socket, Door]]:
    """The port is this process's from here on. Beyond this machine a token is asked for."""
    token = None
    if not is_loopback(review.host):
        token = token_for(review.host, TOKEN) if TOKEN in os.environ else secrets.token_urlsafe(24)
    with listening(review.host, review.port) as listener:
        yield listener, Door(host=review.host, port=listener.getsockname()[1], token=token, page="review")


def _link(door: Door) -> str:
    return link(door.host, door.port) + ("" if door.token is None else f"?token={door.token}")


def _connect(tracking: TrackingConfig) -> Tell:
    """The store, for the runs that wrote the samples. Where there is none here, nothing is made."""
    if tracking.uri is None and not (MLRUNS / "mlflow.db").exists():
        return lambda reviewed: False
    from harness.tracking.feedback import log_reviewed
    from harness.tracking.store import open_writable_store

    store = open_writable_store(tracking)
    return lambda reviewed: log_reviewed(store, reviewed)


def _export(review: Review, desk: Desk, events: Events) -> list[Path]:
    measured = {name: desk.measures(name) for name, person in desk.people.items() if person.standing}
    return export(review.folder, desk.people, events.texts(), system=review.system, measures=measured)


def _end(review: Review, desk: Desk, events: Events, teller: Teller, say: Say) -> None:
    for name, person in desk.people.items():
        if person.standing:
            say(f"{name}:")
            for share in desk.measures(name):
                say(f"  {share.what}: {share.said}")
    if any(person.standing for person in desk.people.values()):
        _say_written(_export(review, desk, events), desk, say)
    if waiting := teller.waiting:
        say(f"telling MLflow of {waiting} samples; Ctrl-C leaves that to the next time")
    if waiting := teller.finish():
        say(
            f"warning: MLflow has not heard of {waiting} samples ({teller.trouble or 'it does not answer'}); their "
            "decisions are kept, and the same command tells it"
        )


def _say_written(files: list[Path], desk: Desk, say: Say) -> None:
    decided = sum(len(person.standing) for person in desk.people.values())
    say(f"{decided} decisions: {', '.join(str(file) for file in files)}")
