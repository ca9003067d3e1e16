"""Raw poems become lines: cleaned, deduplicated, split; and the shipped files are made that way."""

import json
from pathlib import Path

import pytest

from harness.config.paths import ROOT
from harness.config.schema import PrepareCommand
from harness.data.sources.poems import SPLITS, Poem, prepare_poems, read_poems, split, to_line
from harness.errors import HarnessError
from harness.models.base import Base
from tests.conftest import compose_config

SYSTEM = compose_config().data.system


def test_the_shipped_poems_are_as_many_and_as_long_as_promised() -> None:
    poems = read_poems(ROOT / "data" / "poems.json")
    lengths = [len([line for line in poem.body.split("\n") if line.strip()]) for poem in poems]
    assert len(poems) >= 300
    assert min(lengths) >= 4 and max(lengths) <= 20
    assert len({poem.body for poem in poems}) == len(poems)


@pytest.mark.parametrize("group", ["poems", "poems_en"])
def test_the_shipped_lines_are_what_prepare_makes(group: str, tmp_path: Path) -> None:
    command = compose_config(f"data={group}", command=PrepareCommand, config_name="prepare")
    lines = Path(compose_config(f"data={group}").data.path)
    source = ROOT / "data" / f"{group.replace('_', '-')}.json"
    prepare_poems(source, tmp_path, system=command.data.system, line_format="text", valid=0.1, test=0.1, seed=0)
    for name in SPLITS:
        assert (tmp_path / f"{name}.jsonl").read_bytes() == (lines / f"{name}.jsonl").read_bytes()


def test_text_lines_are_the_bytes_of_the_chat_template(base: Base) -> None:
    poem = Poem("河", "它走了\n\n又回来")
    messages = to_line(poem, SYSTEM, "messages")["messages"]
    rendered = base.tokenizer.render(messages, add_generation_prompt=False)
    assert to_line(poem, SYSTEM, "text")["text"] == rendered.rstrip("\n")


def test_poems_are_cleaned_and_the_same_poem_is_kept_once(tmp_path: Path) -> None:
    raw = [
        {"title": " 河 ", "body": "一\r\n二  \n\n\n\n三\n"},
        {"theme": "河", "body": "一\n二\n三"},
        {"theme": "山", "body": "一\n二\n三"},
        {"title": "海", "body": "四"},
    ]
    (tmp_path / "raw.json").write_text(json.dumps(raw), encoding="utf-8")
    prepared = prepare_poems(
        tmp_path / "raw.json", tmp_path, system=None, line_format="messages", valid=0.34, test=0, seed=1
    )
    assert (prepared.raw, prepared.duplicates, prepared.rows) == (4, 1, {"train": 2, "valid": 1, "test": 0})
    lines = [
        json.loads(line) for name in SPLITS for line in (tmp_path / f"{name}.jsonl").read_text("utf-8").splitlines()
    ]
    assert {"role": "assistant", "content": "一\n二\n\n三"} in [line["messages"][1] for line in lines]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("{", "is not JSON"),
        ("{}", "must hold a JSON list of poems, but it holds a dict"),
        ('[{"title": "a", "body": "b"}, {"title": "c"}]', "poem 2 must have title or theme, and body"),
        ('[{"title": "a", "body": "b"}]', "1 poems cannot be split"),
    ],
)
def test_a_bad_source_is_refused_and_nothing_is_written(content: str, complaint: str, tmp_path: Path) -> None:
    (tmp_path / "raw.json").write_text(content, encoding="utf-8")
    with pytest.raises(HarnessError) as caught:
        prepare_poems(tmp_path / "raw.json", tmp_path, system=None, line_format="text", valid=0.1, test=0.1, seed=0)
    assert complaint in str(caught.value)
    assert list(tmp_path.glob("*.jsonl")) == []


def test_files_that_are_there_are_not_overwritten(tmp_path: Path) -> None:
    def prepare(seed: int) -> None:
        source = ROOT / "data" / "poems.json"
        prepare_poems(source, tmp_path, system=None, line_format="text", valid=0.1, test=0.1, seed=seed)

    prepare(0)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    prepare(0)  # the same again is no harm
    with pytest.raises(HarnessError, match="is there already and would change"):
        prepare(1)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_the_split_depends_on_the_seed_alone() -> None:
    poems = [Poem(str(number), "x") for number in range(50)]
    first, again, other = (split(poems, valid=0.2, test=0.1, seed=seed) for seed in (1, 1, 2))
    assert first == again != other
    assert sorted((poem for chosen in first.values() for poem in chosen), key=lambda poem: int(poem.theme)) == poems
