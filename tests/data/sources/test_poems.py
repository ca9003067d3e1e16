"""Raw poems in the shapes that people have become lines; what is none is named."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from harness.config.schema import PrepareCommand
from harness.data.kinds import Kind
from harness.data.sources.find import find_source
from harness.data.sources.found import Found, Rejected, Tools
from harness.data.sources.poems import to_line
from harness.errors import HarnessError
from harness.models.base import Base
from tests.conftest import compose_config

Read = Callable[..., list[Found | Rejected]]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """The rows of a file or folder, with some settings changed."""

    def rows(path: Path, **settings: Any) -> list[Found | Rejected]:
        values: dict[str, Any] = {"format": "messages", "system": None, "title_of_files": "file", "author_fields": []}
        values |= {"theme_fields": ["title", "theme"], "body_fields": ["body", "content"]} | settings
        tools = Tools(count_tokens=None, say=lambda line: None, cache=tmp_path)
        return list(find_source("poems", values).rows(path, tools))

    return rows


def turns(rows: Sequence[Found | Rejected]) -> list[tuple[str, str]]:
    messages = [row.line["messages"] for row in rows if isinstance(row, Found)]
    return [(user["content"], answer["content"]) for user, answer in messages]


def kinds(rows: Sequence[Found | Rejected]) -> list[tuple[Kind, str]]:
    return [(row.kind, row.origin) for row in rows if isinstance(row, Rejected)]


def test_text_lines_are_the_bytes_of_the_chat_template(base: Base) -> None:
    system = compose_config(command=PrepareCommand, config_name="prepare").source["system"]
    assert system.startswith("用户会给出一个主题")
    messages = to_line("河", "它走了\n\n又回来", system, "messages")["messages"]
    rendered = base.tokenizer.render(messages, add_generation_prompt=False)
    assert to_line("河", "它走了\n\n又回来", system, "text")["text"] == rendered.rstrip("\n")


@pytest.mark.parametrize(
    "content",
    [
        [{"title": "河", "body": "一"}, {"theme": "山", "content": ["二", "三"], "title": ""}],
        [["河", "一"], ["山", "二\n三"]],
        [[["河", "一"]], [["山", "二\n三"]]],
    ],
)
def test_the_shapes_of_json_are_read(content: Any, read: Read, tmp_path: Path) -> None:
    (tmp_path / "raw.json").write_text(json.dumps(content), encoding="utf-8")
    assert turns(read(tmp_path / "raw.json")) == [("河", "一"), ("山", "二\n三")]
    lines = "\n".join(json.dumps(each) for each in content)
    if isinstance(content[0], dict):
        (tmp_path / "raw.jsonl").write_text(lines, encoding="utf-8")
        assert turns(read(tmp_path / "raw.jsonl")) == [("河", "一"), ("山", "二\n三")]


def test_a_folder_of_text_files_has_its_themes_in_names_or_first_lines(read: Read, tmp_path: Path) -> None:
    (tmp_path / "河.txt").write_text("河水\n\n一夜", encoding="gb18030")
    (tmp_path / "山.md").write_text("石\n二", encoding="utf-16")
    (tmp_path / "notes.pdf").write_bytes(b"%PDF")
    assert turns(read(tmp_path)) == [("山", "石\n二"), ("河", "河水\n\n一夜")]
    assert turns(read(tmp_path, title_of_files="first_line")) == [("石", "二"), ("河水", "一夜")]


def test_fields_may_have_any_name_and_authors_make_groups(read: Read, tmp_path: Path) -> None:
    (tmp_path / "raw.json").write_text('[{"名": "河", "文": "一", "by": "李"}]', encoding="utf-8")
    (row,) = read(tmp_path / "raw.json", theme_fields=["名"], body_fields=["文"], author_fields=["by"])
    assert isinstance(row, Found) and row.group == "author 李"


@pytest.mark.parametrize(
    ("raw", "cleaned"),
    [
        ("一\r\n二  \n\n\n\n三\n", "一\n二\n\n三"),
        ("一<br/>二<p>三</p>&amp;", "一\n二三&"),
        ("，Ａ“ﬁ”\u3000！", "，Ａ“ﬁ”\u3000！"),
        ("cafe\u0301 \ufeff", "café"),
        ("rÃ¨gle â€œsimpleâ€\x9d", "règle “simple”"),
        ("a < b", "a < b"),
    ],
)
def test_poems_are_cleaned_and_their_width_and_quotes_stay(raw: str, cleaned: str, read: Read, tmp_path: Path) -> None:
    (tmp_path / "raw.json").write_text(json.dumps([{"title": " 河 ", "body": raw}]), encoding="utf-8")
    assert turns(read(tmp_path / "raw.json")) == [("河", cleaned)]


def test_what_is_no_poem_is_named_with_its_place(read: Read, tmp_path: Path) -> None:
    raw = [{"title": "a"}, {"title": "a", "body": 5}, {"title": "a", "body": " "}, 7, ["a", "b", "c"]]
    file = tmp_path / "raw.json"
    file.write_text(json.dumps(raw), encoding="utf-8")
    expected = [Kind.SHAPE, Kind.TYPE, Kind.EMPTY, Kind.SHAPE, Kind.SHAPE]
    assert kinds(read(file)) == [(kind, f"{file}, poem {number}") for number, kind in enumerate(expected, start=1)]
    lines = tmp_path / "raw.jsonl"
    lines.write_text('{"title": "a", "body": "b"}\n{\n', encoding="utf-8")
    assert kinds(read(lines)) == [(Kind.UNREADABLE, f"{lines}:2")]


@pytest.mark.parametrize(("content", "complaint"), [("{", "raw.json:1 is not JSON"), ("7", "but it holds a int")])
def test_a_file_that_is_no_list_is_refused(content: str, complaint: str, read: Read, tmp_path: Path) -> None:
    (tmp_path / "raw.json").write_text(content, encoding="utf-8")
    with pytest.raises(HarnessError, match=complaint):
        read(tmp_path / "raw.json")


@pytest.mark.parametrize(
    "value",
    [
        {"河": "河的诗", "灯": "灯的诗"},
        {"poems": [{"title": "河", "body": "河的诗"}, {"title": "灯", "body": "灯的诗"}]},
        [{"title": "河", "body": "河的诗"}, {"title": "灯", "body": "灯的诗"}],
    ],
)
def test_poems_under_a_name_and_titles_with_their_bodies_are_read(value: Any, read: Read, tmp_path: Path) -> None:
    (tmp_path / "raw.json").write_text(json.dumps(value), encoding="utf-8")
    assert turns(read(tmp_path / "raw.json")) == [("河", "河的诗"), ("灯", "灯的诗")]
    (tmp_path / "one.json").write_text(json.dumps({"title": "河", "body": "河的诗"}), encoding="utf-8")
    assert turns(read(tmp_path / "one.json")) == [("河", "河的诗")]
