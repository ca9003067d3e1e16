"""A person's decisions are read line by line, and what is none is named."""

from pathlib import Path

import pytest

from harness.errors import HarnessError
from harness.evaluation.decisions import read_decisions


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
