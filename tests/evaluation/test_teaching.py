"""Judges go on taught where the decisions helped, and as they were where not."""

import asyncio
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.people import PERSON, Pupil, decided_by
from harness.config.schema import JudgeCommand, JudgeConfig
from harness.evaluation.decisions import read_decided
from harness.evaluation.teaching import Schooled, planned_calls, schooled
from tests.conftest import compose_config


def _judge(*words: str) -> JudgeConfig:
    command: JudgeCommand = compose_config(
        "judge=poetry", "judge.model=m", "samples=s", *words, command=JudgeCommand, config_name="judge"
    )
    return command.judge


def _schooled(taste: Any, *words: str, compared: bool = False) -> tuple[Schooled, Pupil]:
    pupil = Pupil(-0.4 * PERSON, np.random.default_rng(0), noise=0.3)
    decided = decided_by(taste, np.random.default_rng(1), themes=40)
    work = schooled([pupil.judge()], _judge(*words), decided, lambda verdict: None, compared=compared)
    return asyncio.run(work), pupil


def test_a_judge_that_learns_goes_on_with_the_examples_in_its_rubric() -> None:
    found, pupil = _schooled(PERSON)
    assert found.lesson is not None and found.lesson.used
    (judge,) = found.judges
    assert judge.rubric.examples == tuple(found.lesson.examples) and judge.rubric.digest != pupil.judge().rubric.digest
    decided = decided_by(PERSON, np.random.default_rng(1), themes=40)
    assert len(pupil.told) == planned_calls(_judge(), decided, 1) == 40


def test_teaching_may_be_left_out_and_a_small_budget_is_not_spent_on_it() -> None:
    found, pupil = _schooled(PERSON, "judge.teach=false")
    assert not found.judges[0].rubric.examples and not pupil.told
    assert found.lesson is not None and found.lesson.why == "judge.teach is false"
    _, pupil = _schooled(PERSON, "judge.max_calls=40")
    assert len(pupil.told) == 10
    found, pupil = _schooled(PERSON, "judge.teach=false", compared=True)
    assert len(pupil.told) == 24 and found.lesson is not None and found.lesson.person is not None


def test_a_decided_text_is_that_of_its_line_and_the_last_decision_counts(tmp_path: Path) -> None:
    lines = [
        {"id": "a", "decision": "delete", "theme": "t", "text": "one two"},
        {"id": "a", "decision": "accept", "theme": "t", "text": "one two"},
        {"id": "b", "decision": "accept"},
    ]
    (tmp_path / "d.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    (found,) = read_decided(str(tmp_path / "d.jsonl"))
    assert (found.id, found.decision, found.text, found.length) == ("a", "accept", "one two", 2)


@pytest.mark.parametrize("word", ["auto", "false"])
def test_teaching_is_set_by_a_word(word: str) -> None:
    assert _judge(f"judge.teach={word}").teach in ("auto", False)
