"""Lines are read in three forms, and an error names file and line."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from harness.data.lines import read_lines
from harness.errors import HarnessError

WriteLines = Callable[[str, Sequence[str]], Path]


def test_the_three_forms_are_read(write_lines: WriteLines) -> None:
    path = write_lines(
        "train.jsonl",
        [
            '{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}',
            '{"prompt": "c", "completion": "d"}',
            "",
            '{"text": "e\u2028f"}',
        ],
    )
    first, second, third = read_lines(path)
    assert first.messages == [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    assert second.messages == [{"role": "user", "content": "c"}, {"role": "assistant", "content": "d"}]
    assert (third.text, third.number) == ("e\u2028f", 4)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("{", "must be one JSON object"),
        ("[1]", "it is a list"),
        ('{"txt": "a"}', "or text, or conversations, or instruction and output, but it has txt"),
        ('{"messages": []}', "must be a list of at least one message"),
        ('{"messages": [{"role": "me", "content": "a"}]}', "role must be one of system, user, assistant, tool"),
        ('{"messages": [{"role": "user", "content": 5}]}', "must have role and content as texts"),
        ('{"messages": [{"role": "user", "content": "a"}]}', "there must be an assistant message"),
        ('{"text": "a", "weight": 0}', "weight must be a number above 0, but it is 0; leave it out for 1"),
        ('{"text": "a", "weight": -1.5}', "weight must be a number above 0, but it is -1.5"),
        ('{"text": "a", "weight": "2"}', "weight must be a number above 0, but it is '2'"),
        ('{"text": "a", "weight": true}', "weight must be a number above 0, but it is True"),
        ('{"text": "a", "weight": Infinity}', "weight must be a number above 0, but it is inf"),
        ('{"text": "a", "weight": NaN}', "weight must be a number above 0, but it is nan"),
    ],
)
def test_a_bad_line_is_named_by_file_and_number(line: str, complaint: str, write_lines: WriteLines) -> None:
    path = write_lines("train.jsonl", ['{"text": "good"}', line])
    with pytest.raises(HarnessError) as caught:
        read_lines(path)
    assert f"{path}:2" in str(caught.value)
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_says_what_is_expected(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match="data.path must be a folder with train.jsonl and valid.jsonl"):
        read_lines(tmp_path / "train.jsonl")


def test_a_file_in_another_encoding_names_the_line(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    path.write_bytes('{"text": "a"}\n{"text": "河"}\n'.encode("gb18030"))
    with pytest.raises(HarnessError, match=r"train.jsonl:2 must be UTF-8"):
        read_lines(path)


def test_labels_keep_only_their_lines(write_lines: WriteLines) -> None:
    path = write_lines("train.jsonl", ['{"text": "a", "label": "x"}', '{"text": "b", "label": "y"}', '{"text": "c"}'])
    assert [line.text for line in read_lines(path, ["y"])] == ["b"]


def test_labels_that_keep_nothing_are_refused_with_those_there_are(write_lines: WriteLines) -> None:
    path = write_lines("train.jsonl", ['{"text": "a", "label": "x"}', '{"text": "b", "label": "y"}'])
    with pytest.raises(HarnessError, match="its labels are x, y"):
        read_lines(path, ["z"])


def test_a_line_may_say_what_its_tokens_count(write_lines: WriteLines) -> None:
    path = write_lines("train.jsonl", ['{"text": "a", "weight": 2}', '{"text": "b", "weight": null}', '{"text": "c"}'])
    assert [line.weight for line in read_lines(path)] == [2.0, 1.0, 1.0]
