"""Decisions on samples become lines with lineage; a later round takes the place of an earlier one."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from harness.config.schema import PrepareCommand
from harness.console.progress import Display
from harness.data.kinds import Kind
from harness.data.sources.find import find_source
from harness.data.sources.found import Found, Rejected, Tools
from harness.errors import HarnessError
from harness.evaluation.decisions import read_decisions
from harness.preparing.job import job_of
from harness.preparing.pipeline import prepare_folder
from harness.sampling.samples import Sample
from tests.conftest import compose_config

Row = Found | Rejected
Write = Callable[..., Path]


def sample(theme: str, text: str, index: int = 0) -> Sample:
    return Sample(
        base="b",
        adapter="runs:/r1",
        run="r1",
        iteration=1200,
        weights="w1",
        theme=theme,
        variant="newline",
        code=1201,
        index=index,
        prompt=f"<{theme}>\n",
        seed=7,
        temperature=0.8,
        top_p=0.95,
        max_tokens=64,
        text=text,
        tokens=9,
        seconds=0.1,
        finish_reason="stop",
    )


RIVER, LAMP, RAIN, HILL = (sample(theme, f"{theme}的诗\n第二行") for theme in ("河", "灯", "雨", "山"))
SAMPLES = [each.to_json() for each in (RIVER, LAMP, RAIN, HILL)]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """A file of JSON lines, or of a JSON list where the name says .json."""

    def written(name: str, records: Sequence[Any]) -> Path:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        whole = json.dumps(records) if path.suffix == ".json" else "\n".join(map(json.dumps, records))
        path.write_text(whole, encoding="utf-8")
        return path

    return written


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def read(said: list[str], tmp_path: Path) -> Callable[..., list[Row]]:
    def rows(path: Path, *earlier: Path, **settings: Any) -> list[Row]:
        values: dict[str, Any] = {"earlier": list(map(str, earlier)), "format": "messages", "system": None}
        values |= {"edited_fields": ["edited", "text"]} | settings
        tools = Tools(count_tokens=None, say=said.append, cache=tmp_path)
        return list(find_source("reviewed", values).rows(path, tools))

    return rows


def kept(rows: Sequence[Row]) -> list[tuple[str, str, str | None]]:
    """Theme, text and label of each line."""
    found = [row for row in rows if isinstance(row, Found)]
    return [(row.line["messages"][0]["content"], row.line["messages"][1]["content"], row.label) for row in found]


def left(rows: Sequence[Row]) -> list[tuple[Kind, str]]:
    return [(row.kind, row.reason) for row in rows if isinstance(row, Rejected)]


def decided(each: Sample, decision: str, **values: Any) -> dict[str, Any]:
    return {"id": each.id, "decision": decision, **values}


def test_decisions_on_samples_become_lines_with_all_that_made_them(
    write: Write, read: Callable[..., list[Row]], said: list[str]
) -> None:
    samples = write("samples.jsonl", SAMPLES)
    decisions = [decided(RIVER, "accept"), decided(LAMP, "edit", edited="灯灭了 "), decided(RAIN, "delete", by="李")]
    review = write("round-1.jsonl", decisions)
    rows = read(review, samples)
    assert kept(rows) == [("河", "河的诗\n第二行", "accepted"), ("灯", "灯灭了", "edited")]
    assert left(rows) == [(Kind.UNWANTED, "it was deleted")]
    assert said == ["1 accepted, 1 edited, 1 deleted, 0 skipped; 0 lines of training; 1 samples without a decision"]
    found = [row for row in rows if isinstance(row, Found)]
    assert found[1].lineage == {
        "sample": LAMP.id,
        "base": "b",
        "adapter": "runs:/r1",
        "run": "r1",
        "iteration": 1200,
        "scale": 1.0,
        "weights": "w1",
        "variant": "newline",
        "prompt": "<灯>\n",
        "seed": 7,
        "decision": "edit",
        "review": "round-1.jsonl",
    }
    assert read_decisions(str(review)) == {RIVER.id: "accept", LAMP.id: "edit", RAIN.id: "delete"}


def test_samples_may_have_their_decisions_beside_them(write: Write, read: Callable[..., list[Row]]) -> None:
    decisions = [{"decision": "accept"}, {"decision": "edit", "edited": "灯灭了"}, {"decision": "skip"}, {}]
    rows = read(write("samples.jsonl", [one | other for one, other in zip(SAMPLES, decisions, strict=True)]))
    assert kept(rows) == [("河", "河的诗\n第二行", "accepted"), ("灯", "灯灭了", "edited")]
    assert left(rows) == [(Kind.UNWANTED, "it was skipped")]


def test_the_nested_list_of_what_was_kept_finds_its_samples_again(write: Write, read: Callable[..., list[Row]]) -> None:
    samples = write("samples.jsonl", SAMPLES)
    rows = read(write("best.json", [[["河", "河的诗\n第二行"], ["灯", "灯灭了"]], [["山", " "], ["雨"]]]), samples)
    assert kept(rows) == [("河", "河的诗\n第二行", "accepted"), ("灯", "灯灭了", "accepted")]
    lineages = [row.lineage.get("sample") for row in rows if isinstance(row, Found)]
    assert lineages == [RIVER.id, None]
    assert left(rows) == [(Kind.SHAPE, "a pair must be [title, body], both texts"), (Kind.EMPTY, "the text is empty")]


def test_a_later_round_takes_the_place_of_an_earlier_one(write: Write, read: Callable[..., list[Row]]) -> None:
    samples = write("samples.jsonl", SAMPLES)
    first = [decided(RIVER, "accept"), decided(LAMP, "accept"), decided(RAIN, "accept"), decided(HILL, "delete")]
    second = [decided(RIVER, "edit", edited="新河"), decided(LAMP, "delete"), decided(RAIN, "skip")]
    rounds = write("rounds/2.jsonl", first).parent
    write("rounds/10.jsonl", [*second, decided(HILL, "edit", text="新山")])
    rows = read(rounds, samples)
    assert kept(rows) == [("雨", "雨的诗\n第二行", "accepted"), ("河", "新河", "edited"), ("山", "新山", "edited")]
    reasons = [reason.replace(f"{rounds}/", "") for _, reason in left(rows)]
    assert sorted(reasons) == [
        "it was deleted",
        "it was skipped, and 2.jsonl:3 counts",
        "replaced by 10.jsonl:1",
        "replaced by 10.jsonl:2",
        "replaced by 10.jsonl:4",
    ]


def test_in_one_review_the_last_word_counts_also_when_it_is_to_skip(
    write: Write, read: Callable[..., list[Row]]
) -> None:
    samples = write("samples.jsonl", SAMPLES)
    rows = read(write("one.jsonl", [decided(RIVER, "accept"), decided(RIVER, "skip")]), samples)
    assert kept(rows) == [] and [kind for kind, _ in left(rows)] == [Kind.UNWANTED] * 2


def test_two_rounds_and_the_lines_before_them_become_one_folder(write: Write, tmp_path: Path) -> None:
    def prepared(name: str, review: Path, earlier: str) -> list[dict[str, Any]]:
        words = ["source=reviewed", f"source.path={review}", f"source.earlier=[{earlier}]", "model.path=null"]
        words += [f"data.path={tmp_path / name}", "source.valid=0", "source.test=0"]
        command = compose_config(*words, command=PrepareCommand, config_name="prepare")
        prepare_folder(job_of(command, Display()))
        splits = [tmp_path / name / f"{split}.jsonl" for split in ("train", "valid", "test")]
        return [json.loads(line) for split in splits for line in split.read_text("utf-8").splitlines()]

    old = {"text": "<|im_start|>user\n桥<|im_end|>\n<|im_start|>assistant\n桥上没有人走过<|im_end|>", "weight": 2}
    lines = write("lines.jsonl", [old])
    again = sample("桥", "桥上没有人走过", index=3)
    samples = write("samples.jsonl", [*SAMPLES, again.to_json()])
    first = write("first.jsonl", [decided(each, "accept") for each in (RIVER, LAMP, RAIN, again)])
    rows = prepared("one", first, f"{lines},{samples}")
    assert len(rows) == 4 and [row for row in rows if "weight" in row] == [old]
    second = write("second.jsonl", [decided(LAMP, "edit", edited="新的灯亮着"), decided(RIVER, "delete")])
    rows = prepared("two", second, f"{tmp_path / 'one'},{samples}")
    assert len(rows) == 3 and old in rows
    by_sample = {row["lineage"]["sample"]: row for row in rows if row != old}
    assert by_sample.keys() == {LAMP.id, RAIN.id}
    assert by_sample[LAMP.id]["messages"][-1]["content"] == "新的灯亮着"
    assert by_sample[LAMP.id]["lineage"]["review"] == "second.jsonl"
    read = json.loads((tmp_path / "two" / "manifest.json").read_text("utf-8"))["sources"]
    assert {"second.jsonl", "earlier 1: train.jsonl", "earlier 2: samples.jsonl"} <= read.keys()
    assert by_sample[RAIN.id]["lineage"]["review"] == "first.jsonl" and by_sample[RAIN.id]["label"] == "accepted"


def test_lines_that_were_held_out_stay_so_and_new_ones_are_trained_on(
    write: Write, read: Callable[..., list[Row]], tmp_path: Path
) -> None:
    lines = {name: {"messages": [{"role": "assistant", "content": name}]} for name in ("train", "valid", "test")}
    for name, line in lines.items():
        write(f"{name}.jsonl", [line])
    review = write("review/round.jsonl", [decided(RIVER, "accept") | RIVER.to_json()])
    found = [row for row in read(review, tmp_path) if isinstance(row, Found)]
    assert [row.split for row in found] == [None, "valid", "test", None]


@pytest.mark.parametrize(
    ("record", "kind", "reason"),
    [
        ({"id": RIVER.id, "decision": "like"}, Kind.SHAPE, "decision must be one of accept, edit, skip, delete, but"),
        ({"decision": "accept", "text": "x"}, Kind.SHAPE, "a decision must have the id of its sample"),
        ({"id": "gone", "decision": "accept"}, Kind.SHAPE, "sample gone has no theme here; name its samples file"),
        ({"id": RIVER.id, "decision": "edit"}, Kind.SHAPE, "an edited sample must have its new text as edited or text"),
        ({"id": RIVER.id, "decision": "edit", "text": 5}, Kind.TYPE, "the text must be a text, but it is a int"),
        ({"id": RIVER.id, "decision": "edit", "text": " "}, Kind.EMPTY, "the text is empty"),
        ({"id": RIVER.id, "decision": ["accept"]}, Kind.SHAPE, "decision must be one of"),
        (7, Kind.SHAPE, "it must be an object, but it is a int"),
    ],
)
def test_what_is_no_decision_is_named_with_its_line(
    record: Any, kind: Kind, reason: str, write: Write, read: Callable[..., list[Row]]
) -> None:
    review = write("review.jsonl", [record])
    (row,) = read(review, write("samples.jsonl", SAMPLES))
    assert isinstance(row, Rejected) and row.kind is kind and row.reason.startswith(reason)
    assert row.origin == f"{review}:1"


def test_half_a_line_is_one_bad_row(write: Write, read: Callable[..., list[Row]]) -> None:
    review = write("review.jsonl", [decided(RIVER, "accept")])
    review.write_text(review.read_text() + '\n{"id": "x", "deci')
    rows = read(review, write("samples.jsonl", SAMPLES))
    assert len(kept(rows)) == 1 and [kind for kind, _ in left(rows)] == [Kind.UNREADABLE]


@pytest.mark.parametrize(
    ("make", "complaint"),
    [(False, "source.earlier=.*/rounds is not there"), (True, "source.earlier=.*/rounds must hold files that end in")],
)
def test_an_input_that_is_not_there_is_named(
    make: bool, complaint: str, write: Write, read: Callable[..., list[Row]], tmp_path: Path
) -> None:
    if make:
        (tmp_path / "rounds").mkdir()
    with pytest.raises(HarnessError, match=complaint):
        read(write("review.jsonl", [decided(RIVER, "accept")]), tmp_path / "rounds")
