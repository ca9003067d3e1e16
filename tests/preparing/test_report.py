"""The report tells what there is, warns of what makes a poor adapter, and is the same bytes every time."""

import json
from pathlib import Path
from typing import Any

import pytest

from harness.config.schema import PrepareCommand
from harness.console.progress import Display
from harness.models.base import Base
from harness.preparing.figures import Spread
from harness.preparing.job import job_of
from harness.preparing.pipeline import prepare_folder
from harness.preparing.show import shown
from tests.conftest import compose_config


def chat(folder: Path, rows: list[Any], *overrides: str) -> Any:
    """The report of rows prepared into folder/out, read again from its JSON."""
    (folder / "raw.jsonl").write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return prepared(folder, "source=chat", f"source.path={folder / 'raw.jsonl'}", *overrides)


def prepared(folder: Path, *overrides: str) -> Any:
    words = ["model=tiny", "replace=true", f"data.path={folder / 'out'}", *overrides]
    prepare_folder(job_of(compose_config(*words, command=PrepareCommand, config_name="prepare"), Display()))
    return json.loads((folder / "out" / "report.json").read_text("utf-8"))


def pair(number: int, **more: Any) -> dict[str, Any]:
    return {"prompt": f"第{number}个问题是什么", "completion": f"回答{number}，" * (number % 9 + 3)} | more


def test_the_same_source_and_configuration_make_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        prepared(tmp_path / name)
    one, two = (
        {file.name: file.read_bytes() for file in (tmp_path / name / "out").iterdir()} for name in ("one", "two")
    )
    assert one == two
    assert {"manifest.json", "report.json", "report.md", "report.html", "rejected.jsonl", "train.jsonl"} <= one.keys()


def test_the_manifest_has_the_digests_of_sources_and_outputs(tmp_path: Path) -> None:
    chat(tmp_path, [pair(number) for number in range(40)])
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text("utf-8"))
    assert list(manifest["sources"]) == ["raw.jsonl"]
    assert {"train.jsonl", "valid.jsonl", "report.html"} <= manifest["outputs"].keys()
    assert manifest["configuration"]["source"]["seed"] == 0 and "numpy" in manifest["versions"]


def test_figures_count_rows_labels_and_tokens_as_training_does(base: Base, tmp_path: Path) -> None:
    report = chat(tmp_path, [pair(number, label="ab"[number % 2]) for number in range(60)])
    train = report["splits"]["train"]
    assert sum(train["labels"].values()) == train["rows"] == sum(train["tokens"]["bins"])
    lines = (tmp_path / "out" / "train.jsonl").read_text("utf-8").splitlines()
    tokens = []
    for line in map(json.loads, lines):
        turns = [{"role": "user", "content": line["prompt"]}, {"role": "assistant", "content": line["completion"]}]
        text = base.tokenizer.render(turns, add_generation_prompt=False)
        tokens.append(len(base.tokenizer.encode(text, special=False).ids))
    assert (train["tokens"]["total"], train["tokens"]["most"]) == (sum(tokens), max(tokens))
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    assert page.count("<svg") == 6 and "raw.jsonl:" in page


@pytest.mark.parametrize(
    ("rows", "overrides", "warning"),
    [
        ([pair(n) for n in range(20)], ["lora.rank=64"], "are few for lora.rank=64"),
        (
            [pair(n, label="rare" if n == 3 else "x") for n in range(90)],
            ["source.valid=0", "source.test=0"],
            "label rare is",
        ),
        ([pair(n, prompt="写诗") for n in range(90)], [], "have the same prompt"),
        (
            [pair(n, work="one" if n < 60 else n) for n in range(90)],
            ["source.group_fields=[work]"],
            "60 of 90 rows are one",
        ),
        ([pair(n) for n in range(90)], ["train.max_seq_length=32"], "are longer than train.max_seq_length=32"),
        (
            [pair(n % 50, label="ab"[n // 50]) for n in range(100)],
            ["source.near_duplicates=off", "source.valid=0.3"],
            "rows of valid are in train too",
        ),
    ],
)
def test_what_makes_a_poor_adapter_is_warned_of(
    rows: list[Any], overrides: list[str], warning: str, tmp_path: Path
) -> None:
    said = chat(tmp_path, rows, *overrides)["warnings"]
    assert any(warning in each for each in said), said
    assert not any(warning in each for each in chat(tmp_path, [pair(n) for n in range(90)])["warnings"])


def test_near_duplicates_are_listed_or_left_out(tmp_path: Path) -> None:
    text = "灯在窗里坐着，雨在窗外走，谁也没有先开口说话。" * 3
    rows = [pair(number) for number in range(40)] + [pair(90, completion=text), pair(90, completion=text + "完")]
    assert [f"{tmp_path / 'raw.jsonl'}:{line}" for line in (42, 41)] in chat(tmp_path, rows)["alike"]
    report = chat(tmp_path, rows, "source.near_duplicates=drop")
    assert report["rejected"]["near duplicate"] >= 1
    assert report["examples"][-1]["origin"].endswith("raw.jsonl:42")


@pytest.mark.parametrize(
    ("way", "rows", "left_out"), [("cut", 40, {}), ("split", 42, {}), ("drop", 38, {"too long": 2})]
)
def test_rows_that_are_too_long_are_cut_split_or_dropped(
    way: str, rows: int, left_out: dict[str, int], tmp_path: Path
) -> None:
    def exchange(theme: str) -> list[dict[str, str]]:
        return [{"role": "user", "content": theme * 30}, {"role": "assistant", "content": f"{theme}的" * 15}]

    given: list[Any] = [pair(number) for number in range(38)]
    given += [
        {"messages": [*exchange(one), *exchange(two), *exchange(three)]} for one, two, three in ("河山灯", "雨夜窗")
    ]
    report = chat(tmp_path, given, f"source.too_long={way}", "train.max_seq_length=200", "source.valid=0.3")
    assert (sum(each["rows"] for each in report["splits"].values()), report["rejected"]) == (rows, left_out)


def test_labels_that_are_not_wanted_are_left_out_and_counted(tmp_path: Path) -> None:
    report = chat(tmp_path, [pair(n, label="ab"[n % 2]) for n in range(80)], "data.labels=[a]")
    assert report["rejected"] == {"label not wanted": 40}
    assert all(not each["labels"] or list(each["labels"]) == ["a"] for each in report["splits"].values())


def test_rows_are_shown_as_the_model_sees_them_with_what_it_learns_marked(base: Base, tmp_path: Path) -> None:
    chat(tmp_path, [pair(number) for number in range(40)])
    command = compose_config("show=1", f"data.path={tmp_path / 'out'}", command=PrepareCommand, config_name="prepare")
    place, text = shown(tmp_path / "out", command, base.tokenizer)
    assert "train.jsonl:1" in place and "learned" in place
    assert (
        text.startswith("<|im_start|>user\n第") and "assistant\n⟦回答" in text and text.rstrip().endswith("<|im_end|>⟧")
    )


def test_a_spread_counts_every_value_once() -> None:
    spread = Spread.of([1, 5, 5, 100])
    assert (spread.total, spread.least, spread.median, spread.most, sum(spread.bins)) == (111, 1, 5, 100, 4)


def test_what_was_left_out_is_counted_by_reason_with_the_first_of_each(tmp_path: Path) -> None:
    broken: list[Any] = [{"messages": [{"role": role, "content": "x"}] * 2} for role in ("user", "system", "user")]
    broken += [
        pair(1),
        pair(1),
        pair(1),
        {"prompt": "a\u0007", "completion": "b"},
        {"prompt": "aa\u0008", "completion": "b"},
    ]
    report = chat(tmp_path, [*(pair(number) for number in range(30)), *broken], "source.max_bad=0.5")
    told = {
        (each["kind"], each["reason"]): (each["rows"], each["origin"].rpartition(":")[2]) for each in report["reasons"]
    }
    assert told["duplicate", "the same as another row"] == (3, "34")
    assert told["control characters", "character … is …"] == (2, "37")
    assert sum(each["rows"] for each in report["reasons"]) == sum(report["rejected"].values()) == 8
    for name in ("report.md", "report.html"):
        assert "the same as another row" in (tmp_path / "out" / name).read_text("utf-8")


def test_pieces_of_a_corpus_are_counted_by_what_they_are(tmp_path: Path) -> None:
    prose = " ".join(f"word{number}" for number in range(70)) + "."
    chapters = [f"CHAPTER {number}\n\n{prose.replace('word', f'w{number}x')}\n\nShort.\n" for number in range(12)]
    (tmp_path / "book.txt").write_text("\n\n".join(chapters), encoding="utf-8")
    report = prepared(tmp_path, "source=corpus", f"source.path={tmp_path / 'book.txt'}", "source.min_tokens=10")
    told = {each["reason"]: (each["rows"], each["start"]) for each in report["reasons"]}
    assert told["heading"] == (12, "CHAPTER 0") and told["short paragraph"] == (12, "Short.")
