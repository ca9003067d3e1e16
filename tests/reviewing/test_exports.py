"""What a review writes is read by what reads it: source=reviewed, judge.decisions, the nested list, the next review."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from harness.data.sources import reviewed
from harness.data.sources.found import Found, Tools
from harness.errors import HarnessError
from harness.evaluation.decisions import read_decisions
from harness.reviewing.desk import Desk
from harness.reviewing.events import Events
from harness.reviewing.exports import difference, export
from harness.reviewing.queue import Order
from harness.reviewing.saying import Look, Mode
from harness.reviewing.texts import read_texts
from tests.reviewing.written import Hand, desk_of, judged_as, lines_of, sample, write_samples

SAMPLES = [sample(number, theme=f"theme {number % 2}") for number in range(6)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Of ada: accepted, edited, skipped, deleted, and one left open."""
    file = write_samples(tmp_path / "s.jsonl", SAMPLES)
    worth = {each.id: -float(number) for number, each in enumerate(SAMPLES)}
    with desk_of(file, judged_as(worth)) as desk:
        hand = Hand(desk)
        hand.say("accept", note="as it is")
        hand.say("edit", "line one of 1\na new line\n\nand one more")
        hand.say("skip")
        hand.say("delete")
        _write(desk, file, tmp_path / "out")
    return tmp_path / "out"


def _write(desk: Desk, file: Path, folder: Path, system: str | None = None) -> None:
    events = Events(file.with_suffix(".review.sqlite"))
    measured = {name: desk.measures(name) for name in desk.people}
    export(folder, desk.people, events.texts(), system=system, measures=measured)
    events.close()


def _rows(path: Path, earlier: Sequence[Path] = ()) -> list[Found]:
    known: dict[str, Any] = {"format": "messages", "system": None, "edited_fields": ["edited", "text"]}
    settings = reviewed.Settings(earlier=[str(each) for each in earlier], **known)
    tools = Tools(count_tokens=None, say=lambda line: None, cache=path.parent)
    return [found for found in reviewed.rows(path, settings, tools) if isinstance(found, Found)]


def test_decisions_are_lines_of_training_that_say_where_they_come_from(folder: Path) -> None:
    accepted, edited = _rows(folder / "decisions.jsonl")
    assert accepted.line["messages"][-1]["content"] == SAMPLES[0].text
    assert edited.line["messages"][-1]["content"] == "line one of 1\na new line\n\nand one more"
    assert (accepted.label, edited.label) == ("accepted", "edited")
    lineage = dict(edited.lineage)
    assert lineage.pop("difference") == {
        "changed": pytest.approx(0.5, abs=0.3),
        "lines": ["@@ -2 +2,3 @@", "-line two of 1", "+a new line", "+", "+and one more"],
    }
    assert lineage.pop("at").endswith("+00:00") and lineage.pop("rank") == 0.0
    assert lineage == {
        "sample": SAMPLES[1].id,
        "base": "builtin:tiny",
        "adapter": "runs:/bbbbbbbb",
        "run": "bbbbbbbb",
        "iteration": 600,
        "scale": 1.0,
        "variant": "base",
        "prompt": "<user>theme 1",
        "seed": 1,
        "rubric": "r1",
        "by": "ada",
        "decision": "edit",
        "review": "decisions.jsonl",
    }


def test_measures_say_what_was_kept_of_whom(folder: Path) -> None:
    found = json.loads((folder / "measures.json").read_text("utf-8"))
    kept = {share["what"]: (share["hits"], share["of"]) for share in found["people"]["ada"]}
    assert kept["kept, as they are or edited"] == (2, 3)
    assert kept["kept of the ranking's upper half"] == (2, 2)
    assert [(each["adapter"], each["hits"], each["of"]) for each in found["adapters"]] == [
        ("runs:/aaaaaaaa", 1, 1),
        ("runs:/bbbbbbbb", 1, 2),
    ]


def test_chat_lines_say_the_same_and_are_read_as_they_are(folder: Path) -> None:
    of_decisions, of_chat = _rows(folder / "decisions.jsonl"), _rows(folder / "chat.jsonl")
    assert [(row.line, row.label, row.lineage) for row in of_chat] == [
        (row.line, row.label, row.lineage) for row in of_decisions
    ]


def test_of_the_whole_folder_the_decisions_are_read_and_each_text_once(folder: Path) -> None:
    assert _rows(folder) == _rows(folder / "decisions.jsonl")


def test_decisions_are_what_a_judge_is_compared_with(folder: Path) -> None:
    assert read_decisions(str(folder / "decisions.jsonl")) == {
        SAMPLES[0].id: "accept",
        SAMPLES[1].id: "edit",
        SAMPLES[2].id: "skip",
        SAMPLES[3].id: "delete",
    }


def test_the_nested_list_is_what_was_kept_by_theme_and_can_be_reviewed_again(folder: Path) -> None:
    kept = json.loads((folder / "accepted.json").read_text("utf-8"))
    assert kept == [
        [["theme 0", SAMPLES[0].text]],
        [["theme 1", "line one of 1\na new line\n\nand one more"]],
    ]
    assert [row.line["messages"][0]["content"] for row in _rows(folder / "accepted.json")] == ["theme 0", "theme 1"]
    assert [text.theme for text in read_texts(folder / "accepted.json").texts] == ["theme 0", "theme 1"]


def test_a_nested_list_is_reviewed_and_written_in_its_own_groups(tmp_path: Path) -> None:
    file = tmp_path / "poems.json"
    file.write_text(json.dumps([[["河", "一"], ["山", "二"]], [["海", "三"]], [["火", "四"]]]), "utf-8")
    with desk_of(file) as desk:
        hand = Hand(desk)
        for decision in ("accept", "accept", "accept", "delete"):
            hand.say(decision)
        _write(desk, file, tmp_path / "out")
    assert json.loads((tmp_path / "out" / "accepted.json").read_text("utf-8")) == [
        [["河", "一"], ["山", "二"]],
        [["海", "三"]],
    ]
    assert len(_rows(tmp_path / "out" / "decisions.jsonl")) == 3


def test_of_several_people_an_edit_counts_then_the_newest_and_all_is_told(tmp_path: Path) -> None:
    file = write_samples(tmp_path / "s.jsonl", SAMPLES[:2])
    with desk_of(file) as desk:
        ada, bo = Hand(desk, "ada"), Hand(desk, "bo")
        ada.say("edit", "ada's words")
        ada.say("accept")
        bo.say("accept")
        bo.say("skip")
        _write(desk, file, tmp_path / "out")
    first, second = lines_of(tmp_path / "out" / "decisions.jsonl")
    assert (first["decision"], first["by"], first["edited"]) == ("edit", "ada", "ada's words")
    assert [(each["decision"], each["by"]) for each in first["others"]] == [("accept", "bo")]
    assert (second["decision"], second["by"]) == ("accept", "ada")


def test_what_was_decided_is_written_although_its_text_left_the_file(tmp_path: Path) -> None:
    file = write_samples(tmp_path / "s.jsonl", SAMPLES[:1])
    with desk_of(file) as desk:
        Hand(desk).say("accept")
    file.unlink()
    write_samples(file, SAMPLES[1:])
    with desk_of(file) as desk:
        assert Hand(desk).view["counts"] == {"left": 5, "said": {}, "total": 5}
        _write(desk, file, tmp_path / "out")
    assert [line["id"] for line in lines_of(tmp_path / "out" / "decisions.jsonl")] == [SAMPLES[0].id]


def test_preferences_name_the_chosen_text_and_who_wrote_both(tmp_path: Path) -> None:
    file = write_samples(tmp_path / "s.jsonl", [sample(number) for number in range(6)])
    with desk_of(file) as desk:
        hand = Hand(desk, look=Look(mode=Mode.PAIRS))
        left, right = hand.view["item"]["texts"]
        hand.say("right", note="quieter")
        hand.say("tie")
        hand.say("skip")
        _write(desk, file, tmp_path / "out")
    chosen, equal = lines_of(tmp_path / "out" / "preferences.jsonl")
    assert (chosen["prompt"], chosen["chosen"], chosen["rejected"]) == ("river", right, left)
    assert {chosen["lineage"][side]["run"] for side in ("chosen", "rejected")} == {"aaaaaaaa", "bbbbbbbb"}
    assert (chosen["lineage"]["by"], chosen["lineage"]["note"]) == ("ada", "quieter")
    assert len(equal["equal"]) == 2
    assert lines_of(tmp_path / "out" / "decisions.jsonl") == []


def test_a_system_message_stands_in_the_chat_lines(tmp_path: Path) -> None:
    file = write_samples(tmp_path / "s.jsonl", SAMPLES[:1])
    with desk_of(file) as desk:
        Hand(desk).say("accept")
        _write(desk, file, tmp_path / "out", system="写诗")
    (line,) = lines_of(tmp_path / "out" / "chat.jsonl")
    assert line["messages"][0] == {"role": "system", "content": "写诗"}


def test_odd_texts_are_written_as_they_were(tmp_path: Path) -> None:
    odd = ["<b>x</b>\u2028y", "\u202eright to left", "a\x00b\x1b[0m", "long " * 20_000, '"quoted"\r\nand', "\ud800"]
    file = tmp_path / "s.jsonl"
    file.write_text(
        "".join(json.dumps(sample(number, text=text).to_json()) + "\n" for number, text in enumerate(odd)), "utf-8"
    )
    with desk_of(file) as desk:
        hand = Hand(desk)
        for _ in odd:
            hand.say("accept")
        _write(desk, file, tmp_path / "out")
    written = [line["text"] for line in lines_of(tmp_path / "out" / "decisions.jsonl")]
    assert written == [*odd[:-1], "\ufffd"]


def test_a_long_edit_says_how_much_changed_and_not_each_line() -> None:
    assert difference("a\n" * 4000, "b\n" * 4000) == {"changed": 0.5}
    assert difference("same", "same") == {"changed": 0.0, "lines": []}


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("", "has no text"),
        ('{"messages": []}\n{"messages": []}\n', "must be a sample with id, theme and text; it has messages"),
        ('{"id": "a", "theme": 1, "text": "x"}\n', "theme and text of each sample must be texts, but got 1"),
        ('[[["a", 1]], [["b", "c"]]]', r"is no sample of harness.generate and no \[title, body\]"),
        ('{"id": "a"\n{"id": "b", "theme": "t", "text": "x"}\n', r"s.jsonl:1 is no sample"),
    ],
)
def test_what_is_no_file_of_texts_is_said(content: str, complaint: str, tmp_path: Path) -> None:
    (tmp_path / "s.jsonl").write_text(content, "utf-8")
    with pytest.raises(HarnessError, match=complaint):
        read_texts(tmp_path / "s.jsonl")


def test_texts_that_say_the_same_are_shown_once(tmp_path: Path) -> None:
    first = sample(0)
    again = sample(1, text=first.text + "\n")
    marked = sample(2, duplicate_of=first.id, likeness=0.95)
    elsewhere = sample(3, theme="sea", text=first.text)
    found = read_texts(write_samples(tmp_path / "s.jsonl", [first, again, marked, elsewhere]))
    assert [text.sample for text in found.texts] == [first.id, elsewhere.id] and found.repeated == 2


def test_rank_and_rubric_are_kept_with_the_decision(tmp_path: Path) -> None:
    file = write_samples(tmp_path / "s.jsonl", SAMPLES[:4])
    worth = {each.id: float(number) for number, each in enumerate(SAMPLES[:4])}
    with desk_of(file, judged_as(worth), order=Order.RANKING) as desk:
        hand = Hand(desk)
        for _ in range(4):
            hand.say("accept")
        _write(desk, file, tmp_path / "out")
    ranks = {line["id"]: line["rank"] for line in lines_of(tmp_path / "out" / "decisions.jsonl")}
    assert ranks == {each.id: float(number < 2) for number, each in enumerate(SAMPLES[:4])}
