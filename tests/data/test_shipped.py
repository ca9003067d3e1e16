"""The samples shipped for each kind of use are as many, as long and as different as data/README.md says."""

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from rapidfuzz import fuzz

from harness.config.paths import ROOT
from harness.models.base import Base
from harness.sampling.prompts import prompt_for, variants
from tests.conftest import compose_config

DATA = ROOT / "data"
INPUTS = ("neutral", "plain", "abstract")


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def _passages() -> list[dict[str, str]]:
    passages = json.loads((DATA / "persona" / "passages.json").read_text("utf-8"))
    assert isinstance(passages, list)
    return passages


@pytest.mark.parametrize(("name", "least"), [("poems", 300), ("poems-en", 60)])
def test_poems_are_as_many_as_are_told_of_and_each_is_a_training_line(name: str, least: int) -> None:
    poems = json.loads((DATA / f"{name}.json").read_text("utf-8"))
    assert len(poems) >= least
    assert len({poem["body"] for poem in poems}) == len(poems) and all(
        poem.get("title") or poem["theme"] for poem in poems
    )
    folder = DATA if name == "poems" else DATA / name
    lines = [line for split in ("train", "valid", "test") for line in _lines(folder / f"{split}.jsonl")]
    assert len(lines) == len(poems)


def test_english_poems_are_short_and_no_two_are_alike() -> None:
    bodies = [poem["body"] for poem in json.loads((DATA / "poems-en.json").read_text("utf-8"))]
    lengths = [len([line for line in body.split("\n") if line.strip()]) for body in bodies]
    assert min(lengths) >= 4 and max(lengths) <= 20
    assert max(fuzz.ratio(*pair) for pair in itertools.combinations(bodies, 2)) < 60


def test_passages_and_their_inputs_have_their_lengths() -> None:
    passages = _passages()
    assert len(passages) == 12 and len({each["passage"] for each in passages}) == 12
    for each in passages:
        assert 60 <= len(each["passage"].split()) <= 120
        assert len(each["plain"]) < len(each["neutral"]) < len(each["passage"])
        assert each["abstract"].count("[") >= 4


def test_persona_rows_are_the_presets_prompt_around_each_input_and_end_in_the_passage(base: Base) -> None:
    config = compose_config("experiment=persona-14b", "data.path=x")
    variant = variants(config.prompt, "base")[0]
    expected = [
        {
            "text": prompt_for(base.tokenizer, variant, each[kind], system=None, fields=config.prompt.fields).text
            + each["passage"],
            "label": kind,
        }
        for each in _passages()
        for kind in INPUTS
    ]
    train, valid = (_lines(DATA / "persona" / f"{name}.jsonl") for name in ("train", "valid"))
    assert len(train) == 30 and len(valid) == 6
    assert train == [row for row in expected if row in train] and valid == [row for row in expected if row in valid]
    assert len(expected) == len(train + valid)


def test_a_passages_rows_are_all_on_one_side() -> None:
    train, valid = (
        {row["text"].split("### Response:\n")[1] for row in _lines(DATA / "persona" / f"{name}.jsonl")}
        for name in ("train", "valid")
    )
    assert train.isdisjoint(valid) and train | valid == {each["passage"] for each in _passages()}


def test_conversations_take_turns_some_after_a_system_message() -> None:
    talks = [row for name in ("train", "valid") for row in _lines(DATA / "conversations" / f"{name}.jsonl")]
    assert len(talks) >= 12
    for row in talks:
        roles = [message["role"] for message in row["messages"]]
        assert row["label"] == ("system" if roles[0] == "system" else "plain")
        turns = roles[1:] if roles[0] == "system" else roles
        assert len(turns) in (2, 4, 6) and turns == ["user", "assistant"] * (len(turns) // 2)
    assert {row["label"] for row in talks} == {"system", "plain"}


@pytest.mark.parametrize("folder", ["conversations", "questions", "poems-en", "persona"])
def test_no_line_stands_in_two_splits(folder: str) -> None:
    lines = [line for path in (DATA / folder).glob("*.jsonl") for line in path.read_text("utf-8").splitlines()]
    assert len(set(lines)) == len(lines)


def test_questions_have_the_form_of_docstring_rows() -> None:
    rows = [row for name in ("train", "valid", "test") for row in _lines(DATA / "questions" / f"{name}.jsonl")]
    assert len(rows) >= 12
    assert all(row["text"].startswith("Q: ") and row["text"].count("\nA: ") == 1 for row in rows)
