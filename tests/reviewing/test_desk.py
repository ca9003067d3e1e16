"""What a person has before them and says of it: undo, filters, stale pages, two people, texts that join."""

import dataclasses
import sqlite3
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from harness.errors import DamagedError, HarnessError, WriteError
from harness.reviewing.desk import Desk
from harness.reviewing.events import Events
from harness.reviewing.judged import UNJUDGED
from harness.reviewing.queue import Order
from harness.reviewing.saying import Fault, Look, Mode, SayingError
from harness.reviewing.standing import Said
from harness.sampling.samples import write_in_order
from tests.reviewing.written import ADA, QUEUE, Hand, desk_of, judged_as, sample, write_samples


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write_samples(tmp_path / "s.jsonl", [sample(number) for number in range(6)])


WORDS = some.text(some.characters(exclude_categories=()), min_size=0, max_size=6)
STEPS = some.lists(
    some.one_of(
        some.tuples(some.sampled_from(["accept", "skip", "delete"]), some.none(), WORDS),
        some.tuples(some.just("edit"), WORDS.map(lambda text: f"x{text}"), WORDS),
        some.tuples(some.none(), some.none(), WORDS),
        some.tuples(some.just("undo"), some.none(), some.just("")),
    ),
    max_size=16,
)


@settings(max_examples=12, deadline=None)
@given(steps=STEPS)
def test_undo_of_any_depth_leads_back_through_every_state_also_after_a_restart(
    steps: list[tuple[str | None, str | None, str]],
) -> None:
    with TemporaryDirectory() as folder:
        file = write_samples(Path(folder) / "s.jsonl", [sample(number) for number in range(4)])
        past: list[dict[str, Any]] = []
        with desk_of(file) as desk:
            hand = Hand(desk, look=Look(state="all"))
            for decision, edited, note in steps:
                if decision == "undo" and past:
                    hand.undo()
                    assert _state(desk) == past.pop()
                elif decision != "undo":
                    past.append(_state(desk))
                    hand.say(decision, edited, note)
        with desk_of(file) as desk:
            hand = Hand(desk, look=Look(state="all"))
            while past:
                hand.undo()
                assert _state(desk) == past.pop()
            with pytest.raises(SayingError, match="nothing to undo"):
                desk.undo(ADA, Look(), newest=1, request="last")


def _state(desk: Desk) -> dict[str, Any]:
    """All that stands, by item."""
    shown = {}
    at = None
    for _ in range(4):
        item = desk.view(ADA, Look(state="all"), at, 1)["item"]
        at = item["key"]
        shown[at] = (item["decision"], item["edited"], item["note"])
    return shown


def test_decisions_are_there_after_the_process_is_gone(file: Path) -> None:
    with desk_of(file) as desk:
        hand = Hand(desk)
        hand.say("edit", "a\n\nb", "better so")
        hand.say("delete")
    with desk_of(file) as desk:
        assert desk.view(ADA, Look())["counts"] == {"left": 4, "said": {"edit": 1, "delete": 1}, "total": 6}
        item = desk.view(ADA, Look(state="edit"))["item"]
        assert (item["edited"], item["note"]) == ("a\n\nb", "better so")


def test_events_can_only_be_added(file: Path) -> None:
    with desk_of(file) as desk:
        Hand(desk).say("accept")
    with sqlite3.connect(file.with_suffix(".review.sqlite")) as database:
        for words in ("UPDATE events SET reviewer = 'x'", "DELETE FROM events"):
            with pytest.raises(sqlite3.IntegrityError, match="events stay"):
                database.execute(words)
    database.close()


def test_a_stale_page_is_refused_and_changes_nothing(file: Path) -> None:
    with desk_of(file) as desk:
        one, other = Hand(desk), Hand(desk)
        one.say("accept")
        with pytest.raises(SayingError, match="it stands as: accept") as refused:
            other.say("delete")
        assert refused.value.fault is Fault.STALE
        assert desk.view(ADA, Look())["counts"] == {"left": 5, "said": {"accept": 1}, "total": 6}
        with pytest.raises(SayingError, match="another tab"):
            desk.undo(ADA, Look(), newest=99, request="u")


def test_an_attempt_that_is_made_again_is_taken_once(file: Path) -> None:
    with desk_of(file) as desk:
        item = desk.view(ADA, Look())["item"]
        words: dict[str, Any] = {"item": item["key"], "revision": 0, "request": "the same", "stay": False}
        said = Said(decision="accept")
        first = desk.say(ADA, Look(), said=said, **words)
        assert desk.say(ADA, Look(), said=said, **words) == first
        newest = first["undo"]
        desk.undo(ADA, Look(), newest=newest, request="u")
        assert desk.undo(ADA, Look(), newest=newest, request="u")["counts"]["left"] == 6


def test_an_attempts_name_is_its_persons_own_and_stands_for_one_thing(file: Path) -> None:
    with desk_of(file) as desk:
        first, second = (desk.view(ADA, Look(), step=step)["item"] for step in (0, -1))
        words: dict[str, Any] = {"revision": 0, "request": "1", "stay": False, "said": Said(decision="accept")}
        desk.say(ADA, Look(), item=first["key"], **words)
        assert desk.say("bo", Look(), item=first["key"], **words)["counts"]["said"]["accept"] == 1
        for other in ({"item": second["key"]}, {"item": first["key"], "said": Said(decision="delete")}):
            with pytest.raises(SayingError, match="request=1 was said of something else"):
                desk.say(ADA, Look(), **words | other)
        with pytest.raises(SayingError, match="request=1 was said of something else"):
            desk.undo(ADA, Look(), newest=1, request="1")


def test_a_text_that_leaves_the_file_while_it_is_read_can_be_decided(file: Path) -> None:
    with desk_of(file, look_every=0.0) as desk:
        hand = Hand(desk)
        samples = [sample(number) for number in range(6)]
        marked = dataclasses.replace(samples[0], duplicate_of=samples[1].id, likeness=0.95)
        write_in_order(file, [marked, *samples[1:]])  # as harness.generate does in the end
        desk.refresh()
        hand.say("accept")
        assert hand.view["counts"] == {"left": 5, "said": {}, "total": 5}
        hand.undo()
        assert desk.people[ADA].standing == []


def test_two_people_decide_apart_from_one_another(file: Path) -> None:
    with desk_of(file) as desk:
        one, other = Hand(desk), Hand(desk, "陈")
        one.say("accept")
        other.say("delete")
        other.undo()
        other.say("skip")
        assert desk.view(ADA, Look())["counts"] == {"left": 5, "said": {"accept": 1}, "total": 6}
        assert desk.view("陈", Look())["counts"] == {"left": 5, "said": {"skip": 1}, "total": 6}


@pytest.mark.parametrize("name", ["", "  ", "a" * 61, "a\nb"])
def test_a_name_that_is_none_is_refused(name: str, file: Path) -> None:
    with desk_of(file) as desk, pytest.raises(SayingError, match="a name must be"):
        desk.view(name, Look())


@pytest.mark.parametrize(
    ("decision", "edited", "complaint"),
    [
        ("edit", " \n", "must not be empty"),
        ("edit", "line one of 0\r\nline two of 0", "nothing was changed"),
        ("left", None, "of a text say accept"),
    ],
)
def test_what_is_nothing_to_save_is_refused(decision: str, edited: str | None, complaint: str, file: Path) -> None:
    with desk_of(file) as desk, pytest.raises(SayingError, match=complaint):
        Hand(desk).say(decision, edited)


def test_filters_by_theme_and_state_and_looking_around(tmp_path: Path) -> None:
    samples = [sample(number, theme=theme) for number, theme in enumerate(["sea", "fog", "sea", "fog", "sea"])]
    with desk_of(write_samples(tmp_path / "s.jsonl", samples)) as desk:
        hand = Hand(desk, look=Look(theme="sea"))
        first = hand.view["item"]["key"]
        hand.say("accept")
        assert hand.view["counts"] == {"left": 2, "said": {"accept": 1}, "total": 3}
        second = hand.view["item"]["key"]
        third = hand.see(second, 1)
        assert third is not None and third["key"] not in (first, second)
        back = hand.see(third["key"], -1)
        assert back is not None and back["key"] == second, "the first is decided, so it is not among the open ones"
        accepted = Hand(desk, look=Look(state="accept"))
        assert accepted.view["item"]["key"] == first
        accepted.say("delete")
        assert accepted.item is None
        assert [(each["theme"], each["left"], each["of"]) for each in desk.themes(ADA, Mode.TEXTS)] == [
            ("sea", 2, 3),
            ("fog", 2, 2),
        ]


def test_texts_that_are_appended_join_and_a_half_line_waits(file: Path) -> None:
    with desk_of(file, look_every=0.0) as desk:
        Hand(desk).say("accept")
        write_samples(file, [sample(7)])
        with file.open("a") as opened:
            opened.write('{"id": "half')
        desk.refresh()
        assert desk.view(ADA, Look())["counts"] == {"left": 6, "said": {"accept": 1}, "total": 7}
        file.write_text("")
        desk.refresh()
        assert desk.view(ADA, Look())["counts"]["total"] == 7, "what was there is gone on with"


def test_no_answer_says_who_wrote_a_text_or_what_a_judge_thought(file: Path) -> None:
    worth = {sample(number).id: float(number) for number in range(6)}
    with desk_of(file, judged_as(worth), order=Order.RANKING) as desk:
        hand = Hand(desk)
        hand.say("accept")
        hand.undo()
        said = str([hand.view, desk.themes(ADA, Mode.TEXTS)])
        for hidden in ("runs:/", "aaaaaaaa", "600", "rank", "worth", "r1", *worth):
            assert hidden not in said


def test_a_repeat_is_the_same_text_under_another_key_and_not_before_others_came(tmp_path: Path) -> None:
    file = write_samples(tmp_path / "s.jsonl", [sample(number) for number in range(30)])
    with desk_of(file, repeats=0.2) as desk:
        hand, seen = Hand(desk), []
        while hand.item is not None:
            seen.append((hand.item["key"], hand.item["texts"][0]))
            hand.say("accept")
        texts = [text for _, text in seen]
        assert len(seen) == 36 == len({key for key, _ in seen})
        for at, text in enumerate(texts):
            assert text not in texts[max(0, at - 10) : at]
        shares = {share.what: share for share in desk.measures(ADA)}
        assert shares["decided the same at second sight"].hits == 6
        assert shares["kept, as they are or edited"].of == 30


def test_two_texts_side_by_side_are_decided_and_undone_like_one(file: Path) -> None:
    with desk_of(file) as desk:
        hand = Hand(desk, look=Look(mode=Mode.PAIRS))
        first = hand.view["item"]
        assert len(first["texts"]) == 2
        hand.say("left", note="clearer")
        assert hand.view["counts"] == {"left": 2, "said": {"left": 1}, "total": 3}, "left is a side and a number"
        hand.say("tie")
        hand.undo()
        hand.undo()
        assert hand.view["item"]["key"] == first["key"] and hand.view["counts"] == {"left": 3, "said": {}, "total": 3}
        with pytest.raises(SayingError, match="of two texts say left"):
            hand.say("accept")


def test_undo_goes_from_two_texts_back_to_one(file: Path) -> None:
    with desk_of(file) as desk:
        Hand(desk).say("accept")
        pairs = Hand(desk, look=Look(mode=Mode.PAIRS))
        pairs.undo()
        assert pairs.view["mode"] == Mode.TEXTS and len(pairs.view["item"]["texts"]) == 1


def test_selection_and_agreement_with_the_judge_are_measured(tmp_path: Path) -> None:
    samples = [sample(number) for number in range(10)]
    file = write_samples(tmp_path / "s.jsonl", samples)
    judged = judged_as({each.id: -float(number) for number, each in enumerate(samples)})
    with desk_of(file, judged) as desk:
        hand = Hand(desk)
        for decision in ["accept"] * 4 + ["delete"] + ["accept"] + ["delete"] * 4:
            hand.say(decision)
        shares = {share.what: (share.hits, share.of) for share in desk.measures(ADA)}
        assert shares["kept of the ranking's upper half"] == (4, 5)
        assert shares["kept of its lower half"] == (1, 5)


def test_what_cannot_be_saved_is_said_and_changes_nothing(file: Path) -> None:
    events = Events(file.with_suffix(".review.sqlite"), patience=0.0)
    hand = Hand(Desk(file, events, UNJUDGED, QUEUE))
    hand.say("accept")
    with sqlite3.connect(file.with_suffix(".review.sqlite"), isolation_level=None) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(WriteError, match=r"s.review.sqlite cannot be written: database is locked"):
            hand.say("delete")
        other.execute("ROLLBACK")
    other.close()
    hand.say("skip")
    assert hand.view["counts"] == {"left": 4, "said": {"accept": 1, "skip": 1}, "total": 6}
    events.close()


def test_a_file_that_is_no_review_is_said(tmp_path: Path) -> None:
    (tmp_path / "x.sqlite").write_bytes(b"no database at all, but long enough to be looked at" * 20)
    with pytest.raises(HarnessError, match=r"x.sqlite cannot be used for decisions"):
        Events(tmp_path / "x.sqlite")


@pytest.mark.parametrize("version", [0, 1, 7])
def test_a_database_of_something_else_is_refused_and_stays_as_it_is(tmp_path: Path, version: int) -> None:
    file = tmp_path / "x.sqlite"
    with closing(sqlite3.connect(file)) as other:
        other.executescript(f"PRAGMA journal_mode = WAL; CREATE TABLE events (x); PRAGMA user_version = {version}")
    before = file.read_bytes()
    with pytest.raises(HarnessError, match=r"x.sqlite is a database of something else; move it away"):
        Events(file)
    assert file.read_bytes() == before


def test_decisions_that_cannot_be_read_any_more_are_said(file: Path) -> None:
    with desk_of(file) as desk:
        Hand(desk).say("accept")
    decided = file.with_suffix(".review.sqlite")
    decided.write_bytes(decided.read_bytes().replace(b'{"decision": "accept"', b'{"decision? "accept"'))
    with (
        pytest.raises(DamagedError, match=r"s.review.sqlite cannot be read any more .*; put back a copy"),
        desk_of(file),
    ):
        pass
