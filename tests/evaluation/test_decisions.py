"""A person's decisions are read line by line, and what is none is named."""

from pathlib import Path

import pytest

from harness.errors import HarnessError
from harness.evaluation.contest import Judgement
from harness.evaluation.decisions import compared_with_people, read_decisions
from harness.judging.contest import Contest
from harness.judging.rubric import Rubric
from harness.judging.teaching import Lesson
from harness.judging.verdicts import Verdict, VerdictKind
from harness.llm.spending import Limits, Spending


def test_decisions_are_read_by_the_samples_id(tmp_path: Path) -> None:
    file = tmp_path / "d.jsonl"
    file.write_text('{"id": "a", "decision": "accept", "text": "x\u2028y"}\n\n{"id": 2, "decision": "skip"}\n', "utf-8")
    assert read_decisions(str(file)) == {"a": "accept", "2": "skip"}
    assert read_decisions(None) == {}


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b'{"id": "a", "decision": "accept"}\n{"id": "b"}\n', r"d.jsonl:2 must be"),
        (b"[1]\n", r"d.jsonl:1 must be"),
        (b"[" * 5000, r"d.jsonl:1 must be"),
        (b"\xff\xfe", r"must be JSON lines in UTF-8"),
    ],
)
def test_what_is_no_decision_is_named(content: bytes, complaint: str, tmp_path: Path) -> None:
    (tmp_path / "d.jsonl").write_bytes(content)
    with pytest.raises(HarnessError, match=complaint):
        read_decisions(str(tmp_path / "d.jsonl"))


def test_a_file_of_decisions_that_is_not_there_is_said() -> None:
    with pytest.raises(HarnessError, match=r"judge.decisions=none.jsonl is not there"):
        read_decisions("none.jsonl")


def _judgement(used: bool) -> Judgement:
    """Two themes of twelve blocks, each of a text that was accepted before one that was deleted; the judge turns those
    of the second round. It was taught by the first."""
    verdicts = [
        Verdict(
            judge="j",
            kind=VerdictKind.RANKING,
            theme=f"t{number % 2}",
            ids=[f"{number} good", f"{number} bad"],
            adapters=["a", "b"],
            lengths=[1, 1],
            order=[0, 1] if number < 12 else [1, 0],
        )
        for number in range(24)
    ]
    held_out = [sample for each in verdicts[12:] for sample in each.ids]
    lesson = Lesson(
        examples=[], before=None, after=None, gain=None, stderr=None, used=used, why="", held_out=held_out, verdicts=[]
    )
    return Judgement(
        contest=Contest(verdicts, None, ""),
        controls=None,
        agreements=[],
        marks={},
        verdicts=verdicts,
        spending=Spending(Limits()),
        rubric=Rubric("", {}),
        lesson=lesson,
    )


def test_what_a_judge_was_taught_by_says_nothing_of_how_far_it_agrees() -> None:
    decisions = {
        f"{number} {said}": kind for number in range(24) for said, kind in (("good", "accept"), ("bad", "delete"))
    }
    untaught, taught = (compared_with_people(_judgement(used), decisions).person for used in (False, True))
    assert untaught is not None and (untaught.value, untaught.pairs) == (0.5, 24)
    assert taught is not None and (taught.value, taught.pairs) == (0.0, 12)
