"""Conversations in the shapes that people have are read; unknown roles and broken lines are named by file and line."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from harness.data.kinds import Kind
from harness.data.lines import read_lines
from harness.data.sources.find import find_source
from harness.data.sources.found import Found, Rejected, Tools
from harness.errors import HarnessError

Read = Callable[..., list[Found | Rejected]]
TURNS = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
CHATML = "<|im_start|>user\n河 <|im_end|>\n<|im_start|>assistant\n\u2028…<|im_end|>"


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """The rows of lines, written to chat.jsonl, with some settings changed."""

    def rows(lines: Sequence[Any] | Path, **settings: Any) -> list[Found | Rejected]:
        path = lines if isinstance(lines, Path) else tmp_path / "chat.jsonl"
        if not isinstance(lines, Path):
            text = "\n".join(each if isinstance(each, str) else json.dumps(each, ensure_ascii=False) for each in lines)
            path.write_text(text, encoding="utf-8")
        values: dict[str, Any] = {"roles": {}, "label_field": "label", "group_fields": []} | settings
        tools = Tools(count_tokens=None, say=lambda line: None, cache=tmp_path)
        return list(find_source("chat", values).rows(path, tools))

    return rows


@pytest.mark.parametrize(
    ("record", "line"),
    [
        ({"messages": TURNS}, {"messages": TURNS}),
        ({"prompt": "a", "completion": "b"}, {"prompt": "a", "completion": "b"}),
        ({"text": CHATML}, {"text": CHATML}),
        ({"instruction": "a", "input": "", "output": "b"}, {"messages": TURNS}),
        (
            {"instruction": "a", "input": "x", "output": "b", "system": "s"},
            {"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "a\n\nx"}, TURNS[1]]},
        ),
        ({"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]}, {"messages": TURNS}),
        ({"conversations": [{"role": "USER", "content": "a"}, {"role": "bot", "content": "b"}]}, {"messages": TURNS}),
        ({"conversations": [{"from": "用户", "value": "a"}, {"from": "助手", "value": "b"}]}, {"messages": TURNS}),
        ({"messages": [TURNS[0] | {"content": [{"type": "text", "text": "a"}]}, TURNS[1]]}, {"messages": TURNS}),
    ],
)
def test_each_shape_is_read_and_training_reads_it_as_prepared(
    record: dict[str, Any], line: dict[str, Any], read: Read, tmp_path: Path
) -> None:
    (row,) = read([record])
    assert isinstance(row, Found) and row.line == line
    (tmp_path / "train.jsonl").write_text(json.dumps(row.line), encoding="utf-8")
    (raw,), (prepared,) = read_lines(tmp_path / "chat.jsonl"), read_lines(tmp_path / "train.jsonl")
    assert (raw.messages, raw.text) == (prepared.messages, prepared.text)


def test_labels_groups_and_lineage_are_kept(read: Read) -> None:
    record = {"messages": TURNS, "label": "desirable", "work": "w", "author": "x", "lineage": {"run": "r"}}
    (row,) = read([record], group_fields=["work", "author"])
    assert isinstance(row, Found)
    assert (row.label, row.group, row.lineage) == ("desirable", "w / x", {"run": "r"})


def test_a_rows_weight_is_kept_where_it_is_not_one(read: Read) -> None:
    records = [{"text": "a", "weight": 2}, {"messages": TURNS, "weight": 0.5}, {"text": "b", "weight": 1}]
    assert [row.line for row in read(records) if isinstance(row, Found)] == [
        {"text": "a", "weight": 2},
        {"messages": TURNS, "weight": 0.5},
        {"text": "b"},
    ]


def test_calls_of_tools_are_kept_for_the_template(read: Read) -> None:
    call = {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "f", "arguments": {}}}]}
    record = {"messages": [TURNS[0], call, {"role": "tool", "content": "1"}, TURNS[1]], "tools": [{"name": "f"}]}
    (row,) = read([record])
    assert isinstance(row, Found)
    assert row.line["tools"] == record["tools"] and row.line["messages"][1]["tool_calls"] == call["tool_calls"]


@pytest.mark.parametrize(
    ("line", "kind", "reason"),
    [
        ("{", Kind.UNREADABLE, "it is no JSON"),
        ("[" * 100_000, Kind.UNREADABLE, "it is no JSON"),
        ("7", Kind.SHAPE, "it is a int"),
        ({"txt": ""}, Kind.SHAPE, "but it has txt"),
        ({"messages": [{"role": "客服", "content": "b"}]}, Kind.ROLE, "but got '客服'"),
        ({"messages": [{"role": "user", "content": 1}]}, Kind.TYPE, "as texts"),
        ({"conversations": TURNS[:1]}, Kind.NOTHING, "assistant message"),
        ({"prompt": 1, "completion": "b"}, Kind.TYPE, "prompt must be a text"),
        ({"messages": TURNS, "tools": "f"}, Kind.TYPE, "tools must be a list"),
        ({"messages": TURNS, "weight": 0}, Kind.TYPE, "weight must be a number above 0"),
    ],
)
def test_what_is_no_row_is_named_by_file_and_line(
    line: Any, kind: Kind, reason: str, read: Read, tmp_path: Path
) -> None:
    good, bad = read([{"text": "a"}, line])
    assert isinstance(good, Found) and isinstance(bad, Rejected)
    assert (bad.origin, bad.kind) == (f"{tmp_path / 'chat.jsonl'}:2", kind)
    assert reason in bad.reason and "\n" not in bad.reason


def test_further_role_names_come_from_the_configuration(read: Read) -> None:
    record = {"messages": [{"role": "客服", "content": "b"}]}
    (row,) = read([record], roles={"客服": "assistant"})
    assert isinstance(row, Found) and row.line["messages"] == [TURNS[1]]
    with pytest.raises(HarnessError, match="source.roles.客服 must be one of system, user, assistant, tool"):
        read([record], roles={"客服": "agent"})


def test_files_of_other_encodings_lists_and_folders_are_read(read: Read, tmp_path: Path) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    text = "山里的雨落了一夜，早晨的河水比昨天高，桥下的石头都看不见了"
    (folder / "a.jsonl").write_bytes(json.dumps({"text": text}, ensure_ascii=False).encode("gb18030"))
    (folder / "b.jsonl").write_text(json.dumps({"text": text}, ensure_ascii=False), encoding="utf-16")
    (folder / "c.json").write_text(json.dumps([{"text": text}, {"text": "x"}]), encoding="utf-8")
    assert [row.line["text"] for row in read(folder) if isinstance(row, Found)] == [text, text, text, "x"]


def test_a_broken_byte_costs_its_line_alone(read: Read, tmp_path: Path) -> None:
    file = tmp_path / "raw.jsonl"
    file.write_bytes(
        b"".join(b'{"text": "%d"}\n' % number for number in range(30)) + b'{"text": "\xff"}\n{"text": "x"}'
    )
    *_, bad, last = read(file)
    assert isinstance(bad, Rejected) and (bad.origin, bad.kind) == (f"{file}:31", Kind.UNREADABLE)
    assert bad.reason == "character 11 is no utf-8" and isinstance(last, Found)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "gb18030"])
def test_lines_are_read_in_the_encodings_that_editors_write(encoding: str, read: Read, tmp_path: Path) -> None:
    rows = [{"prompt": f"河{number}", "completion": "它 runs\n"} for number in range(5)]
    text = "\r\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    (tmp_path / "chat.jsonl").write_bytes(text.encode(encoding))
    assert [dict(row.line) for row in read(tmp_path / "chat.jsonl") if isinstance(row, Found)] == rows


def test_an_object_over_several_lines_is_a_row_or_has_them_in_a_list(read: Read, tmp_path: Path) -> None:
    row = {"prompt": "a", "completion": "b", "tools": [{"name": "look"}]}
    for whole, origins in [
        (row, ["one.json"]),
        ({"version": 1, "data": [row, row]}, ["one.json, data 1", "one.json, data 2"]),
    ]:
        (tmp_path / "one.json").write_text(json.dumps(whole, indent=2), encoding="utf-8")
        rows = [each for each in read(tmp_path / "one.json") if isinstance(each, Found)]
        assert [dict(each.line) for each in rows] == [row] * len(origins)
        assert [Path(each.origin).name for each in rows] == origins
