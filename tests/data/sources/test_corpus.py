"""Books become lines of text: what is no prose is listed, chunks keep to their range, the budget is an even sample."""

import json
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.config.paths import CONF, ROOT
from harness.config.schema import Config, PrepareCommand
from harness.console.progress import Display
from harness.data.kinds import Kind
from harness.data.sources.corpus import estimated_tokens
from harness.data.sources.find import find_source
from harness.data.sources.found import Found, Rejected, Tools
from harness.errors import HarnessError, SettingError
from harness.models.base import Base
from harness.preparing.job import job_of
from harness.preparing.pipeline import prepare_folder
from harness.run.context import RunPlace
from harness.run.pipeline import train_run
from harness.run.session import Session
from harness.tracking.store import Store
from harness.tuning.trunk_cache import Trunks
from tests.conftest import compose_config

Read = Callable[..., list[Found | Rejected]]
_BOOKS = ROOT / "tests" / "fixtures" / "books"


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def read(tmp_path: Path, said: list[str]) -> Read:
    """The rows of a file or folder, by the shipped settings with some changed."""

    def rows(
        path: Path, count: Callable[[str], int] | None = estimated_tokens, **changed: Any
    ) -> list[Found | Rejected]:
        values = yaml.safe_load((CONF / "source" / "corpus.yaml").read_text("utf-8"))
        values |= {"max_tokens": 512, "sample_seed": 0} | changed
        own = {name: value for name, value in values.items() if name not in ("kind", "path")}
        return list(find_source("corpus", own).rows(path, Tools(count_tokens=count, say=said.append, cache=tmp_path)))

    return rows


def texts(rows: Sequence[Found | Rejected]) -> list[str]:
    return [row.line["text"] for row in rows if isinstance(row, Found)]


def groups(rows: Sequence[Found | Rejected]) -> list[str | None]:
    return [row.group for row in rows if isinstance(row, Found)]


def reasons(rows: Sequence[Found | Rejected]) -> list[str]:
    assert all(row.kind is Kind.UNWANTED for row in rows if isinstance(row, Rejected))
    return [row.reason for row in rows if isinstance(row, Rejected)]


@pytest.fixture
def long_book(tmp_path: Path) -> Path:
    """Sixty chapters of ten paragraphs, each with its number and 80 words."""
    chapters = []
    for chapter in range(60):
        paragraphs = [f"Paragraph {chapter}.{at} says " + "one more word " * 26 for at in range(10)]
        chapters.append(f"CHAPTER {chapter + 1}\n\n" + "\n\n".join(text.strip() + "." for text in paragraphs))
    file = tmp_path / "long.txt"
    file.write_text("\n\n".join(chapters), encoding="utf-8")
    return file


def test_a_book_is_chunks_of_whole_paragraphs_and_a_list_of_the_rest(read: Read, said: list[str]) -> None:
    file = _BOOKS / "gutenberg.txt"
    rows = read(file)
    assert [text.count("\n\n") + 1 for text in texts(rows)] == [4, 2, 2]
    assert [row.origin for row in rows if isinstance(row, Found)] == [f"{file}:{number}" for number in (58, 115, 137)]
    assert groups(rows) == ["gutenberg.txt 4.1", "gutenberg.txt 6.1", "gutenberg.txt 8.1"]
    assert {"heading", "footnote", "verse, list or table", "3 words, fewer than source.min_words=60"} < set(
        reasons(rows)
    )
    (line,) = said
    assert "7 × heading" in line and "2 × short paragraph" in line and "1 × footnote" in line


def test_chinese_is_measured_in_characters(read: Read) -> None:
    assert len(texts(read(_BOOKS / "chinese.txt", min_tokens=1))) == 3
    rows = read(_BOOKS / "chinese.txt", min_tokens=1, min_characters=135)
    assert "5 characters, fewer than source.min_characters=135" in reasons(rows)
    assert all(len(paragraph) >= 135 for text in texts(rows) for paragraph in text.split("\n\n"))


def test_chunks_keep_to_the_range_by_the_bases_tokenizer(read: Read, base: Base, said: list[str]) -> None:
    def count(text: str) -> int:
        return len(base.tokenizer.encode(text, special=False).ids)

    rows = read(_BOOKS, count, min_tokens=40, max_tokens=150)
    assert texts(rows) and all(38 <= count(text) < 150 for text in texts(rows))
    assert any(
        "paragraphs of more than source.max_tokens=150 tokens were parted at sentence ends" in each for each in said
    )


def test_a_sentence_that_no_chunk_can_hold_is_listed(read: Read, tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_text("word " * 700, encoding="utf-8")
    assert reasons(read(tmp_path / "one.txt")) == [
        "700 tokens, more than source.max_tokens=512 without a sentence's end"
    ]
    (tmp_path / "one.txt").write_text("word " * 70, encoding="utf-8")
    assert reasons(read(tmp_path / "one.txt")) == ["70 tokens, fewer than source.min_tokens=100"]


def test_the_budget_is_an_even_sample_over_the_book_and_the_same_each_time(read: Read, long_book: Path) -> None:
    rows = read(long_book, tokens=10_000)
    chapters = [int(text.split()[1].split(".")[0]) for text in texts(rows)]
    assert 9_000 < sum(map(estimated_tokens, texts(rows))) <= 10_000
    assert min(chapters) < 6 and max(chapters) >= 54
    assert all(after - before <= 6 for before, after in pairwise(chapters))
    out = reasons(rows).count("not in the sample that fills source.tokens=10000")
    assert len(texts(rows)) + out == len(texts(read(long_book, tokens=None)))
    assert read(long_book, tokens=10_000) == rows
    assert texts(read(long_book, tokens=10_000, sample_seed=1)) != texts(rows)


def test_the_budget_is_spread_over_all_books_of_a_folder(read: Read, long_book: Path) -> None:
    folder = long_book.parent
    (folder / "part").mkdir()
    (folder / "part" / "other.md").write_bytes(long_book.read_bytes())
    (folder / "cover.jpg").write_bytes(b"\xff\xd8")
    works = [str(group) for group in groups(read(folder, tokens=10_000, group="work"))]
    assert set(works) == {"long.txt", "part/other.md"}
    assert abs(works.count("long.txt") - works.count("part/other.md")) <= 2


def test_neighbours_share_a_passage_a_chapter_or_a_work(read: Read, long_book: Path) -> None:
    def count(**changed: Any) -> int:
        return len(set(groups(read(long_book, **changed))))

    assert (count(passage_tokens=500), count(), count(group="chapter"), count(group="work")) == (120, 60, 60, 1)


def test_a_file_that_cannot_be_read_is_one_bad_row_and_none_at_all_an_error(read: Read, tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match="must hold files that end in .txt, .text, .md, .rst, but it has none"):
        read(tmp_path)
    with pytest.raises(HarnessError, match="is not there; give a text file, or a folder of them"):
        read(tmp_path / "none.txt")
    with pytest.raises(SettingError, match="source.min_tokens must be at most source.max_tokens=512, but got 600"):
        read(_BOOKS, min_tokens=600)
    (tmp_path / "empty.txt").write_bytes(b"")
    assert read(tmp_path) == []
    (tmp_path / "torn.txt").write_bytes("a\n".encode("utf-16") + b"\x00")
    (row,) = read(tmp_path)
    assert isinstance(row, Rejected) and row.kind is Kind.UNREADABLE and "save the file as UTF-8" in row.reason


def test_licences_of_installed_packages_are_prepared_and_trained_on(
    quick_config: Callable[..., Config], store: Store, tmp_path: Path
) -> None:
    """Ten updates on real texts and the made-up books, through the whole pipeline; the same bytes twice."""
    raw, out = tmp_path / "raw", tmp_path / "out"
    raw.mkdir()
    licences = sorted(Path(pytest.__file__).parents[1].glob("*.dist-info/licenses/LICENSE*"))[:40]
    for number, file in enumerate([*licences, *_BOOKS.glob("*.txt")]):
        (raw / f"{number}.txt").write_bytes(file.read_bytes())
    words = ["source=corpus", f"source.path={raw}", "source.min_tokens=20", "train.max_seq_length=96", "replace=true"]
    written = []
    for folder in (out, tmp_path / "again"):
        command = compose_config(*words, f"data.path={folder}", command=PrepareCommand, config_name="prepare")
        written.append(prepare_folder(job_of(command, Display())))
    assert (out / "train.jsonl").read_bytes() == (tmp_path / "again" / "train.jsonl").read_bytes()
    assert len(written[0].splits["train"]) > 20 and not written[0].collected.bad
    listed = [json.loads(line) for line in (out / "rejected.jsonl").read_text("utf-8").splitlines()]
    assert len(listed) == written[0].collected.rejected.total()
    config = quick_config(f"data.path={out}", "train.iters=10", "generate.prompts=[]")
    done = train_run(config, Session(store, Display(), Trunks(tmp_path / "trunks")), RunPlace())
    assert (done.folder / "adapters" / "0000010_adapters.safetensors").exists()
