"""The command from start to end: what it finds, what it refuses, what it leaves behind."""

import dataclasses
import json
import socket
import urllib.request
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from harness.config.schema import TrackingConfig
from harness.errors import BusyError, HarnessError
from harness.files import only_process
from harness.reviewing.queue import Order
from harness.reviewing.session import TOKEN, Review, serve_review, write_review
from tests.reviewing.served import Server
from tests.reviewing.written import Hand, desk_of, lines_of, sample, write_samples


@pytest.fixture
def review(tmp_path: Path) -> Review:
    return Review(
        samples=write_samples(tmp_path / "s.jsonl", [sample(number) for number in range(4)]),
        ranking=None,
        order=None,
        top=None,
        explore=0.1,
        repeats=0.0,
        seed=0,
        pause=0.3,
        reviewer="ada",
        host="127.0.0.1",
        port=0,
        export=None,
        system=None,
        tracking=TrackingConfig(uri=None),
    )


def test_what_was_decided_survives_kill_9_and_is_written_at_the_end(review: Review) -> None:
    with closing(Server(review.samples, "--reviewer", "ada", "--repeats", "0")) as server:
        _decide(server, "accept")
        server.kill()
        server.start()
        _decide(server, "delete")
        said = server.end()
    assert [decision for _, decision in server.decisions("ada")] == ["accept", "delete"]
    assert "kept, as they are or edited: 1 of 2: 50%" in said
    lines = lines_of(review.samples.with_name("s.review") / "decisions.jsonl")
    assert [line["decision"] for line in lines] == ["accept", "delete"]


def _decide(server: Server, decision: str) -> None:
    def ask(path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(server.url + path, data, {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=20) as reply:
            return json.loads(reply.read())

    item = ask("api/view?reviewer=ada")["item"]
    words = {"item": item["key"], "revision": item["revision"], "request": item["key"], "decision": decision}
    ask("api/say", {"reviewer": "ada"} | words)


def test_files_are_written_without_the_page(review: Review) -> None:
    said: list[str] = []
    with desk_of(review.samples) as desk:
        Hand(desk).say("accept")
    write_review(review, said.append)
    assert said[-1].startswith("1 decisions: ")
    assert len(lines_of(review.folder / "chat.jsonl")) == 1


def test_a_ranking_beside_the_samples_is_found_and_its_best_come_first(review: Review) -> None:
    first, second = (sample(number).id for number in (2, 1))
    verdict = {"kind": "ranking", "unscored": None, "ids": [second, first], "adapters": ["b", "a"], "order": [1, 0]}
    ranking = {"rubric": {"digest": "d"}, "judges": ["j"], "ranking": [], "verdicts": [verdict]}
    (review.samples.parent / "r.json").write_text(json.dumps(ranking), "utf-8")
    said: list[str] = []
    write_review(review, said.append)
    assert said[0].endswith("the best first by " + str(review.samples.parent / "r.json"))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda review: {"samples": review.samples.with_name("none.jsonl")}, "none.jsonl is not there; write some"),
        (lambda review: {"samples": review.samples.parent}, "is a folder; name the file of samples in it"),
        (lambda review: {"ranking": review.samples}, "s.jsonl is no ranking .*; give the out= of harness.judge"),
        (lambda review: {"order": Order.RANKING}, "--order=ranking needs a ranking of harness.judge"),
        (lambda review: {"reviewer": "\n"}, "a name must be 1 to 60"),
        (lambda review: {"host": "0.0.0.0"}, f"{TOKEN} must be 16 or more letters"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_served(
    change: Callable[[Review], dict[str, Any]], complaint: str, review: Review, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(TOKEN, "too short")
    with pytest.raises(HarnessError, match=complaint):
        serve_review(dataclasses.replace(review, **change(review)), lambda line: None)


def test_what_was_decided_is_written_also_when_the_samples_are_gone(review: Review) -> None:
    with desk_of(review.samples) as desk:
        hand = Hand(desk)
        hand.say("accept")
        hand.say("edit", "other words")
    review.samples.unlink()
    said: list[str] = []
    write_review(review, said.append)
    assert "s.jsonl is gone" in said[0]
    lines = lines_of(review.samples.with_name("s.review") / "decisions.jsonl")
    assert [line["decision"] for line in lines] == ["accept", "edit"]


def test_an_address_of_another_machine_is_said_and_no_other_port_is_proposed(review: Review) -> None:
    with pytest.raises(HarnessError, match=r"--host=192.0.2.1 is no address of this machine \("):
        serve_review(dataclasses.replace(review, host="192.0.2.1"), lambda line: None)


def test_a_taken_port_and_a_review_in_other_hands_are_said(review: Review) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(HarnessError, match=rf"--port={port} .*choose another, such as --port {port + 1}"):
            serve_review(dataclasses.replace(review, port=port), lambda line: None)
    lock = review.samples.with_name("s.review.lock")
    with only_process(lock, "x"), pytest.raises(BusyError, match=r"the review of .*s.jsonl is in the hands of process"):
        write_review(review, lambda line: None)
