"""Files that grow by lines, and what is told of those that are damaged."""

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.errors import DamagedError
from harness.files import append_json, read_appended, read_lines, write_text
from harness.files.once import made_once


@pytest.fixture
def grown(tmp_path: Path) -> Path:
    """Three lines, the last two with a checksum."""
    path = tmp_path / "grown.jsonl"
    for number in range(3):
        append_json(path, {"n": number, "text": "河"}, checksum=number > 0)
    return path


def _flip(line: bytes) -> bytes:
    return line.replace(b'"n": 1', b'"n": 7')


def test_lines_are_read_back_with_and_without_a_checksum(grown: Path) -> None:
    assert read_appended(grown) == [{"n": number, "text": "河"} for number in range(3)]


@pytest.mark.parametrize(
    ("damage", "what"),
    [
        (lambda line: b"\0" * len(line), "it is no JSON"),
        (lambda line: b"garbage", "it is no JSON"),
        (lambda line: b"\xff\xfe" + line, "it is no JSON"),
        (lambda line: line[:20], "it is no JSON"),
        (lambda line: b"17", "it is no JSON object"),
        (_flip, "its checksum is another"),
    ],
)
def test_a_damaged_line_is_named_and_the_others_are_read(
    grown: Path, damage: Callable[[bytes], bytes], what: str
) -> None:
    lines = grown.read_bytes().split(b"\n")
    lines[1] = damage(lines[1])
    grown.write_bytes(b"\n".join(lines))
    found = read_lines(grown)
    assert [each and each["n"] for each in found.values] == [0, None, 2]
    assert [each.line for each in found.damage] == [2] and found.damage[0].why.startswith(what)
    with pytest.raises(DamagedError, match=f"is damaged in line 2 .{what}.*; put back a copy of the file, or remove"):
        read_appended(grown)


def test_what_was_left_half_written_is_no_damage_and_is_cut_off_by_the_next_line(grown: Path) -> None:
    with grown.open("ab") as file:
        file.write(b'{"n": 3, "te')
    before = grown.read_bytes()
    assert len(read_appended(grown)) == 3 and grown.read_bytes() == before, "reading changes nothing"
    append_json(grown, {"n": 4})
    assert [each["n"] for each in read_appended(grown)] == [0, 1, 2, 4]


def test_a_last_line_that_lacks_nothing_but_its_end_is_kept(grown: Path) -> None:
    grown.write_bytes(grown.read_bytes().rstrip(b"\n"))  # as an editor may leave it
    assert len(read_appended(grown)) == 3
    append_json(grown, {"n": 3})
    assert [each["n"] for each in read_appended(grown)] == [0, 1, 2, 3]


def test_a_file_that_is_written_whole_is_the_former_one_or_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "whole.txt"
    write_text(path, "one")
    write_text(path, "two")
    assert path.read_text() == "two" and [each.name for each in tmp_path.iterdir()] == ["whole.txt"]


def test_a_folder_is_made_once_and_of_two_that_make_it_the_first_one_stays(tmp_path: Path) -> None:
    target = tmp_path / "cache" / "made"

    def first(folder: Path) -> None:
        (folder / "file").write_text("first", encoding="utf-8")

    def second(folder: Path) -> None:
        (folder / "file").write_text("second", encoding="utf-8")
        made_once(target, first)

    assert made_once(target, second) == target
    assert made_once(target, second).joinpath("file").read_text("utf-8") == "first"
    assert [path.name for path in target.parent.iterdir()] == ["made"]
