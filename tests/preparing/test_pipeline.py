"""A source's rows become a folder that training reads, whole or not at all, and the same every time."""

import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from harness.config.paths import ROOT
from harness.config.schema import PrepareCommand, SourceConfig
from harness.console.progress import Display
from harness.errors import HarnessError, SettingError
from harness.preparing.job import job_of
from harness.preparing.pipeline import Prepared, prepare_folder
from harness.preparing.splits import SPLITS
from tests.conftest import compose_config

Prepare = Callable[..., Prepared]


def run(*overrides: str, beside: Path = ROOT / "conf" / "source") -> Prepared:
    command = compose_config(*overrides, command=PrepareCommand, config_name="prepare")
    return prepare_folder(job_of(command, Display(), beside))


@pytest.fixture
def prepare(tmp_path: Path) -> Prepare:
    """The pipeline over poems, or whatever the overrides say, without a tokenizer, into tmp_path/out."""

    def prepared(raw: Sequence[Any] | None = None, *overrides: str) -> Prepared:
        given = []
        if raw is not None:
            (tmp_path / "raw.json").write_text(json.dumps(raw), encoding="utf-8")
            given = [f"source.path={tmp_path / 'raw.json'}"]
        return run("model.path=null", f"data.path={tmp_path / 'out'}", *given, *overrides)

    return prepared


def lines(folder: Path) -> dict[str, list[dict[str, Any]]]:
    return {
        name: [json.loads(line) for line in (folder / f"{name}.jsonl").read_text("utf-8").splitlines()]
        for name in SPLITS
    }


def files(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.mark.parametrize("group", ["poems", "poems_en"])
def test_the_shipped_lines_are_what_prepare_makes(group: str, tmp_path: Path) -> None:
    shipped = Path(compose_config(f"data={group}").data.path)
    source = ROOT / "data" / f"{group.replace('_', '-')}.json"
    run(f"data={group}", f"source.path={source}", f"source.out={tmp_path / 'out'}", "model.path=null")
    for name in SPLITS:
        assert (tmp_path / "out" / f"{name}.jsonl").read_bytes() == (shipped / f"{name}.jsonl").read_bytes()


def test_the_same_poem_is_kept_once_and_one_under_another_theme_stays_on_its_side(
    prepare: Prepare, tmp_path: Path
) -> None:
    body = "灯在窗里坐着\n雨在窗外走\n谁也没有先开口说话"
    raw = [{"title": f"题{number}", "body": f"{number}行的诗" * 9} for number in range(20)]
    raw += [{"title": "河", "body": body}, {"theme": "河", "body": body.replace("\n", " \r\n")}]
    raw += [{"theme": f"夜{number}", "body": body} for number in range(6)]
    prepared = prepare(raw, "source.format=messages", "source.valid=0.3", "source.test=0.3")
    assert dict(prepared.collected.rejected) == {"duplicate": 1}
    rows = [(name, row["messages"][-1]["content"]) for name, each in lines(tmp_path / "out").items() for row in each]
    assert len({name for name, answer in rows if answer == body}) == 1


def test_files_that_are_there_are_not_overwritten_unasked(prepare: Prepare, tmp_path: Path) -> None:
    assert prepare().changed
    before = files(tmp_path / "out")
    (tmp_path / "out" / "notes.txt").write_text("mine")
    assert not prepare().changed
    with pytest.raises(HarnessError, match="is there already and would change"):
        prepare(None, "source.seed=1")
    assert files(tmp_path / "out") == before | {"notes.txt": b"mine"}
    prepare(None, "source.seed=1", "replace=true")
    after = files(tmp_path / "out")
    assert after.pop("notes.txt") == b"mine" and after != before and after.keys() == before.keys()
    assert [file.name for file in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize(
    ("raw", "complaint"),
    [
        ([{"title": "a", "body": "b"}], "1 rows in 1 groups cannot be split"),
        ([{"title": "a"}] + [{"title": f"{n}", "body": f"{n}"} for n in range(3)], "1 of 4 rows are bad"),
    ],
)
def test_a_source_that_cannot_be_used_writes_no_folder(
    raw: list[Any], complaint: str, prepare: Prepare, tmp_path: Path
) -> None:
    with pytest.raises(HarnessError, match=complaint):
        prepare(raw)
    assert not (tmp_path / "out").exists()


def test_a_source_of_which_no_row_is_left_says_why_and_lists_all(prepare: Prepare, tmp_path: Path) -> None:
    (tmp_path / "book.txt").write_text("CHAPTER 1\n\nShort.\n\nShorter.\n", encoding="utf-8")
    with pytest.raises(HarnessError, match="no row is left: 1 heading, 2 short paragraph; .*out.rejected.jsonl has"):
        prepare(None, "source=corpus", f"source.path={tmp_path / 'book.txt'}")
    assert len((tmp_path / "out.rejected.jsonl").read_text("utf-8").splitlines()) == 3
    with pytest.raises(HarnessError, match="raw.json has nothing in it to make a row of; give a file that is not"):
        prepare([])


def test_too_many_bad_rows_are_all_listed_beside_the_output(prepare: Prepare, tmp_path: Path) -> None:
    raw = [{"title": f"{number}", "body": f"{number}"} for number in range(8)] + [{"title": "x"}, 5]
    with pytest.raises(
        HarnessError, match="2 of 10 rows are bad, more than source.max_bad=0.05 allows: 2 unknown shape"
    ):
        prepare(raw)
    listed = (tmp_path / "out.rejected.jsonl").read_text("utf-8").splitlines()
    assert [json.loads(line)["origin"].rpartition(" ")[2] for line in listed] == ["9", "10"]
    assert prepare(raw, "source.max_bad=0.2").changed


def test_a_byte_that_is_no_utf_8_costs_its_line_alone(prepare: Prepare, tmp_path: Path) -> None:
    rows = [{"prompt": f"河{number}", "completion": f"它把两岸背了{number * 7}年"} for number in range(40)]
    raw = [json.dumps(row, ensure_ascii=False).encode() for row in rows]
    raw[3] = raw[3].replace("岸".encode(), b"\xff")
    (tmp_path / "raw.jsonl").write_bytes(b"\n".join(raw))
    prepare(None, "source=chat", f"source.path={tmp_path / 'raw.jsonl'}", "source.near_duplicates=off")
    (rejected,) = (json.loads(line) for line in (tmp_path / "out" / "rejected.jsonl").read_text("utf-8").splitlines())
    assert rejected["origin"].endswith("raw.jsonl:4") and "is no utf-8" in rejected["reason"]
    assert "\\udcff" in (tmp_path / "out" / "report.md").read_text("utf-8")
    assert sum(map(len, lines(tmp_path / "out").values())) == 39


def test_a_source_of_ones_own_is_a_yaml_and_a_file_beside_it(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from dataclasses import dataclass\n"
        "from harness.data.sources.found import Found\n\n"
        "@dataclass\n"
        "class Settings:\n"
        "    times: int\n\n"
        "def rows(path, settings, tools):\n"
        "    for word in path.read_text().split() * settings.times:\n"
        "        yield Found(line={'prompt': word, 'completion': word[::-1]}, origin=word)\n"
    )
    (tmp_path / "words.txt").write_text(" ".join(f"word{number}" for number in range(30)))
    command = compose_config(
        f"data.path={tmp_path / 'out'}", "model.path=null", command=PrepareCommand, config_name="prepare"
    )
    common = {field.name: command.source[field.name] for field in dataclasses.fields(SourceConfig)}
    own = {"kind": "mine", "path": str(tmp_path / "words.txt"), "times": 2}
    prepared = prepare_folder(job_of(dataclasses.replace(command, source=common | own), Display(), tmp_path))
    assert prepared.collected.rejected == {"duplicate": 30}
    rows = [row for split in lines(tmp_path / "out").values() for row in split]
    assert {"prompt": "word7", "completion": "7drow"} in rows and len(rows) == 30
    with pytest.raises(SettingError, match="source.times must be a valid integer"):
        job_of(dataclasses.replace(command, source=common | own | {"times": "x"}), Display(), tmp_path)
    with pytest.raises(SettingError, match="source.tims is not a setting of mine; did you mean times?"):
        job_of(dataclasses.replace(command, source=common | own | {"tims": 2}), Display(), tmp_path)
    with pytest.raises(SettingError, match="source.kind must be one of .*, but got 'mein'; did you mean mine?"):
        job_of(dataclasses.replace(command, source=common | own | {"kind": "mein"}), Display(), tmp_path)


def test_rows_of_one_template_are_split_all_the_same(tmp_path: Path) -> None:
    told = "Say in one word whether the sentence below is glad or sad, and nothing else. The sentence: number {}"
    rows = [{"instruction": told.format(number), "output": "sad"} for number in range(100)]
    (tmp_path / "raw.jsonl").write_text("\n".join(map(json.dumps, rows)))
    run("source=chat", f"source.path={tmp_path / 'raw.jsonl'}", f"data.path={tmp_path / 'out'}", "model.path=null")
    assert len(lines(tmp_path / "out")["valid"]) >= 7


@pytest.mark.parametrize("more", [{"label": "\ud800"}, {"lineage": {"a": "\ud800"}}])
def test_what_no_file_can_hold_is_rejected(more: dict[str, Any], tmp_path: Path) -> None:
    rows = [{"prompt": f"p{number}", "completion": "c"} for number in range(30)]
    (tmp_path / "raw.jsonl").write_text("\n".join(map(json.dumps, [*rows, {"text": "a", **more}])))
    out = f"data.path={tmp_path / 'out'}"
    prepared = run("source=chat", f"source.path={tmp_path / 'raw.jsonl'}", out, "model.path=null")
    assert prepared.collected.rejected == {"unreadable": 1}


@pytest.mark.parametrize(
    ("overrides", "complaint"),
    [
        (["source.path=null"], "source.path must be a file or a folder, but got null"),
        (["source=docstrings", "source.packages=[json]"], "source=docstrings reads no file to write beside; give data"),
    ],
)
def test_only_a_source_that_needs_no_file_does_without(overrides: list[str], complaint: str) -> None:
    with pytest.raises(HarnessError, match=complaint):
        run("model.path=null", *overrides)


def test_the_parts_of_a_row_that_is_too_long_have_its_weight(tmp_path: Path) -> None:
    text = "\n\n".join(f"第{number}段：河水慢慢地流过桥下。" for number in range(30))
    turns = [{"role": "user", "content": "a" * 30}, {"role": "assistant", "content": "b" * 30}] * 6
    rows = [{"text": text, "weight": 2.5}, {"messages": turns, "weight": 2.5}]
    (tmp_path / "raw.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    words = ["source=chat", f"source.path={tmp_path / 'raw.jsonl'}", "source.too_long=split", "source.max_bad=1"]
    run(*words, "model=tiny", "train.max_seq_length=96", f"data.path={tmp_path / 'out'}", "source.valid=0")
    written = lines(tmp_path / "out")["train"]
    assert len(written) > 3 and {each["weight"] for each in written} == {2.5}
