"""Which files of a folder a source reads, and what is said of the others: nothing is passed over in silence."""

import json
import re
from pathlib import Path

import pytest

from harness.data.sources.digests import digests_of
from harness.data.sources.files import Wanted
from harness.errors import HarnessError

WANTED = Wanted(suffixes=(".jsonl", ".json"), what="a file of JSON lines, or a folder of them")


def fill(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name, encoding="utf-8")


def names(folder: Path, said: list[str]) -> list[str]:
    return [file.relative_to(folder).as_posix() for file in WANTED.files(folder, said.append)]


def prepared(folder: Path) -> None:
    fill(folder, "train.jsonl", "valid.jsonl", "rejected.jsonl", "report.json")
    outputs = dict.fromkeys(["train.jsonl", "valid.jsonl", "rejected.jsonl", "report.json"], "")
    (folder / "manifest.json").write_text(json.dumps({"sources": {}, "outputs": outputs}), encoding="utf-8")


def test_files_of_another_kind_are_told_of(tmp_path: Path) -> None:
    fill(tmp_path, "a.jsonl", "in/b.JSON", "c.docx", "d.docx", "notes", ".DS_Store", "._a.jsonl")
    said: list[str] = []
    assert names(tmp_path, said) == ["a.jsonl", "in/b.JSON"]
    aside = "2 × .docx, 1 × no ending"
    assert said == [f"{tmp_path} has files that are not read, since they do not end in .jsonl, .json: {aside}"]


def test_a_link_that_leads_back_is_followed_once(tmp_path: Path) -> None:
    fill(tmp_path, "in/a.jsonl")
    (tmp_path / "in" / "up").symlink_to(tmp_path)
    assert names(tmp_path, []) == ["in/a.jsonl"]


def test_what_prepare_wrote_beside_raw_files_is_no_raw_file(tmp_path: Path) -> None:
    prepared(tmp_path)
    said: list[str] = []
    assert names(tmp_path, said) == ["train.jsonl", "valid.jsonl"]  # there is nothing else: the folder is meant
    fill(tmp_path, "raw.jsonl")
    assert names(tmp_path, said) == ["raw.jsonl"] and list(digests_of(tmp_path)) == ["raw.jsonl"] and not said


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("a.csv", "must be a file of JSON lines, or a folder of them, but it is .csv; source=hf reads tables"),
        ("a.jsonl.gz", "but it is .gz; unpack it first"),
        ("a.docx", "but it is .docx; save it as plain text, UTF-8"),
        ("in/a.docx", "must hold files that end in .jsonl, .json, but it has only 1 × .docx; save it as plain text"),
        ("in/.hidden", "must hold files that end in .jsonl, .json, but it has none"),
    ],
)
def test_what_no_source_reads_is_refused_with_a_way_out(name: str, complaint: str, tmp_path: Path) -> None:
    fill(tmp_path, name)
    with pytest.raises(HarnessError, match=re.escape(complaint)):
        WANTED.files(tmp_path / name.partition("/")[0], lambda _: None)
