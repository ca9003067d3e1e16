"""Data sets of Hugging Face's library: tables and folders that the test makes, and what mlx-lm's settings name."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.config.schema import PrepareCommand
from harness.console.progress import Display
from harness.data.sources.find import find_source
from harness.data.sources.found import Found, Rejected, Tools
from harness.errors import HarnessError
from harness.preparing.job import job_of
from harness.preparing.pipeline import prepare_folder
from tests.conftest import compose_config

datasets: Any = pytest.importorskip("datasets")

Read = Callable[..., list[Found | Rejected]]
ROWS = [
    {"q": f"question {number}", "a": f"answer {number}", "kind": ["even", "odd"][number % 2]} for number in range(20)
]
DEFAULTS: dict[str, Any] = {
    "prompt_feature": "q",
    "completion_feature": "a",
    "chat_feature": "messages",
    "text_feature": "text",
    "train_split": None,
    "valid_split": None,
    "test_split": None,
    "roles": {},
    "label_field": "kind",
    "group_fields": [],
}


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def read(tmp_path: Path, said: list[str]) -> Read:
    def rows(path: Path | str, config: dict[str, Any] | None = None, **settings: Any) -> list[Found | Rejected]:
        values = DEFAULTS | settings | {"config": {"cache_dir": str(tmp_path / "cache")} | (config or {})}
        tools = Tools(count_tokens=None, say=said.append, cache=tmp_path)
        return list(find_source("hf", values).rows(Path(path), tools))

    return rows


def lines(path: Path, rows: list[Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8")
    return path


def table(folder: Path, name: str) -> Path:
    """ROWS in one of the forms that tables have."""
    rows = datasets.Dataset.from_list(ROWS)
    match name:
        case "saved":
            rows.save_to_disk(str(folder / name))
        case "rows.parquet":
            rows.to_parquet(str(folder / name))
        case "rows.arrow":
            rows.save_to_disk(str(folder / "saved"))
            next((folder / "saved").glob("*.arrow")).rename(folder / name)
        case "comma.csv":
            rows.to_csv(str(folder / name), index=False)
        case "excel.csv":
            text = "\r\n".join(";".join(row.values()) for row in [{"q": "q", "a": "a", "kind": "kind"}, *ROWS])
            (folder / name).write_bytes(b"\xef\xbb\xbf" + text.encode())
        case "tab.tsv":
            text = "\n".join("\t".join(row.values()) for row in [{"q": "q", "a": "a", "kind": "kind"}, *ROWS])
            (folder / name).write_text(text, encoding="utf-16")
        case _:
            lines(folder / name, ROWS)
    return folder / name


@pytest.mark.parametrize(
    "name", ["saved", "rows.parquet", "rows.arrow", "comma.csv", "excel.csv", "tab.tsv", "rows.jsonl"]
)
def test_a_table_in_any_form_gives_its_rows_by_their_columns(name: str, read: Read, tmp_path: Path) -> None:
    rows = read(table(tmp_path, name))
    assert all(isinstance(row, Found) for row in rows)
    found = [row for row in rows if isinstance(row, Found)]
    assert [dict(row.line) for row in found] == [{"prompt": row["q"], "completion": row["a"]} for row in ROWS]
    assert [row.label for row in found] == [row["kind"] for row in ROWS]
    assert found[0].origin == f"{tmp_path / name}, train 1" and found[0].split is None


def test_what_is_held_out_stays_so_and_the_rest_is_said(read: Read, said: list[str], tmp_path: Path) -> None:
    for name, part in (("train", ROWS[:14]), ("validation", ROWS[14:17]), ("test", ROWS[17:])):
        lines(tmp_path / "set" / f"{name}.jsonl", part)
    rows = [row for row in read(tmp_path / "set") if isinstance(row, Found)]
    assert [row.split for row in rows] == ["test"] * 3 + ["valid"] * 3 + [None] * 14
    assert rows[0].line["prompt"] == "question 17"
    several = {"train": ROWS[:5], "extra": ROWS[5:]}
    datasets.DatasetDict({name: datasets.Dataset.from_list(part) for name, part in several.items()}).save_to_disk(
        str(tmp_path / "several")
    )
    assert len(read(tmp_path / "several")) == 5
    assert said == [f"{tmp_path / 'several'} has splits that are not read: extra; source.train_split=extra reads one"]


def test_messages_texts_and_other_shapes_are_told_by_their_columns(read: Read, tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    for column, value, line in [
        ("talk", turns, {"messages": turns}),
        ("body", "河的诗", {"text": "河的诗"}),
        ("conversations", [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}], {"messages": turns}),
    ]:
        path = lines(tmp_path / column / "train.jsonl", [{column: value, "number": 1}])
        (row,) = read(path, chat_feature="talk", text_feature="body")
        assert isinstance(row, Found) and row.line == line


def test_arguments_of_other_rows_calls_are_not_put_into_one(read: Read, tmp_path: Path) -> None:
    def row(name: str, **arguments: Any) -> dict[str, Any]:
        call = {"function": {"name": name, "arguments": arguments}}
        tools = [{"name": name, "parameters": dict.fromkeys(arguments, "string")}]
        turns: list[dict[str, Any]] = [{"role": "user", "content": "a"}, {"role": "assistant", "tool_calls": [call]}]
        turns += [{"role": "tool", "content": "r"}, {"role": "assistant", "content": "b"}]
        return {"messages": turns, "tools": tools}

    given = [row("weather", city="x"), row("search", query="y", limit="3")]
    datasets.Dataset.from_list(given).to_parquet(str(tmp_path / "rows.parquet"))
    found = [each for each in read(tmp_path / "rows.parquet") if isinstance(each, Found)]
    for each, before in zip(found, given, strict=True):
        assert each.line["tools"] == before["tools"]
        assert each.line["messages"][1]["tool_calls"] == before["messages"][1]["tool_calls"]


def test_settings_of_mlx_lm_name_several_sets_with_splits(read: Read, tmp_path: Path) -> None:
    one = lines(tmp_path / "one" / "train.jsonl", ROWS).parent
    two = lines(tmp_path / "two" / "train.jsonl", [{"body": f"text {number}"} for number in range(10)]).parent
    cache = f"config: {{cache_dir: {tmp_path / 'cache'}}}"
    settings = tmp_path / "lora.yaml"
    settings.write_text(
        f"hf_dataset:\n- {{path: {one}, prompt_feature: q, completion_feature: a, {cache}}}\n"
        f"- {{path: {two}, text_feature: body, train_split: 'train[:5]', valid_split: 'train[5:7]', {cache}}}\n"
    )
    rows = [row for row in read(settings) if isinstance(row, Found)]
    valid = [row.line for row in rows if row.split == "valid"]
    assert valid == [{"prompt": row["q"], "completion": row["a"]} for row in ROWS[18:]] + [
        {"text": "text 5"},
        {"text": "text 6"},
    ]
    assert [row.line["prompt"] for row in rows[4:20]] == [row["q"] for row in ROWS[:16]]
    assert len(rows) == 4 + 16 + 5
    digests = find_source("hf", DEFAULTS | {"config": {}}).digests(settings)
    assert digests.keys() == {"lora.yaml", "set 1: train.jsonl", "set 2: train.jsonl"}


@pytest.mark.parametrize(
    ("name", "settings", "complaint"),
    [
        ("nobody/none", {"config": {}}, "the data set nobody/none cannot be read: "),
        ("rows.jsonl", {"train_split": "other"}, "rows.jsonl, split other cannot be read: Unknown split"),
        ("rows.jsonl", {"train_split": None, "valid_split": "train"}, "train_split must be given where valid_split"),
        ("rows.jsonl", {"config": {"token": "secret"}}, "it into the environment as HF_TOKEN"),
        ("rows.xlsx", {}, "must end in .csv, .tsv, .json, .jsonl"),
        ("bare.yaml", {}, "must be a settings file of mlx-lm with hf_dataset or data"),
    ],
)
def test_what_cannot_be_read_is_said_in_one_line(
    name: str, settings: dict[str, Any], complaint: str, read: Read, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    lines(tmp_path / "rows.jsonl", ROWS)
    (tmp_path / "rows.xlsx").touch()
    (tmp_path / "bare.yaml").write_text("model: a\n")
    with pytest.raises(HarnessError, match=complaint) as raised:
        read(name if name == "nobody/none" else tmp_path / name, **settings)
    assert "\n" not in str(raised.value)


def test_without_the_library_the_way_to_it_is_said(read: Read, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(HarnessError, match=r"needs the library datasets, which is not installed; pip install"):
        read(lines(tmp_path / "rows.jsonl", ROWS))


def test_its_splits_are_those_that_are_written(tmp_path: Path) -> None:
    for name, part in (("train", [*ROWS[:15], ROWS[16]]), ("validation", ROWS[15:])):
        lines(tmp_path / "set" / f"{name}.jsonl", part)
    words = ["source=hf", f"source.path={tmp_path / 'set'}", f"data.path={tmp_path / 'out'}", "model.path=null"]
    words += ["source.prompt_feature=q", "source.completion_feature=a", "source.near_duplicates=off", "source.test=0.2"]
    words += [f"source.config={{cache_dir: {tmp_path / 'cache'}}}"]
    command = compose_config(*words, command=PrepareCommand, config_name="prepare")
    prepared = prepare_folder(job_of(command, Display()))
    assert len(prepared.splits["valid"]) == 5 and len(prepared.splits["test"]) in (2, 3, 4)
    assert prepared.report.rejected == {"duplicate": 1}  # of train, for it stands in valid
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text("utf-8"))
    assert manifest["sources"].keys() == {"train.jsonl", "validation.jsonl"}
    assert not prepare_folder(job_of(command, Display())).changed


def test_the_command_reads_a_table_though_it_hides_pandas(tmp_path: Path) -> None:
    path = table(tmp_path, "excel.csv")
    words = ["source=hf", f"source.path={path}", f"data.path={tmp_path / 'out'}", "model.path=null"]
    words += ["source.prompt_feature=q", "source.completion_feature=a", f"source.config={{cache_dir: {tmp_path}}}"]
    words += [f"tracking.uri=sqlite:///{tmp_path / 'mlflow.db'}"]
    command = [sys.executable, "-m", "harness.prepare", *words]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr
    assert "20 read" in ended.stdout
