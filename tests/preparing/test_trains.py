"""What prepare writes trains: ten updates on the tiny base for each kind of line, and for raw lines as they are."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.config.schema import Config, PrepareCommand
from harness.console.progress import Display
from harness.preparing.job import job_of
from harness.preparing.pipeline import prepare_folder
from harness.run.context import RunPlace
from harness.run.inputs import gather_inputs
from harness.run.pipeline import train_run
from harness.run.session import Session
from harness.tracking.store import Store
from tests.conftest import compose_config

QUESTION, ANSWER = "第{}个问题是什么", "回答{}在这里，河水慢慢地流"
SHAPES: dict[str, Callable[[str, str], dict[str, Any]]] = {
    "pairs": lambda q, a: {"prompt": q, "completion": a},
    "ShareGPT": lambda q, a: {"conversations": [{"from": "human", "value": q}, {"from": "gpt", "value": a}]},
}


@pytest.fixture(scope="module")
def session(store: Store) -> Session:
    return Session(store, Display())


def updates(session: Session, quick_config: Callable[..., Config], folder: Path) -> int:
    words = ["name=prepared", "train.iters=10", "train.save_every=10", "generate.prompts=[]", f"data.path={folder}"]
    return train_run(quick_config(*words), session, RunPlace()).outcome.best.step


@pytest.mark.parametrize("shape", ["poems", *SHAPES])
def test_each_output_trains_for_ten_updates(
    shape: str, session: Session, quick_config: Callable[..., Config], tmp_path: Path
) -> None:
    words = ["model=tiny", f"data.path={tmp_path / 'out'}"]
    if shape != "poems":
        rows = [SHAPES[shape](QUESTION.format(number), ANSWER.format(number)) for number in range(40)]
        (tmp_path / "raw.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
        words += ["source=chat", f"source.path={tmp_path / 'raw.jsonl'}"]
    prepare_folder(job_of(compose_config(*words, command=PrepareCommand, config_name="prepare"), Display()))
    assert updates(session, quick_config, tmp_path / "out") > 0
    if shape == "ShareGPT":  # training reads it as it is, too
        for name in ("train", "valid"):
            (tmp_path / f"{name}.jsonl").write_bytes((tmp_path / "raw.jsonl").read_bytes())
        assert updates(session, quick_config, tmp_path) > 0


@pytest.mark.parametrize("settings", [["source=docstrings", "source.packages=[mlx.optimizers]"], ["source=reviewed"]])
def test_a_source_gives_the_same_bytes_again_and_they_train(
    settings: list[str], session: Session, quick_config: Callable[..., Config], tmp_path: Path
) -> None:
    words = [*settings, "model=tiny", f"data.path={tmp_path / 'out'}"]
    if settings == ["source=reviewed"]:
        texts = {f"题{number}": ANSWER.format(f"{number:x}" * 9) for number in range(20)}
        rows = [{"id": theme, "theme": theme, "text": text, "decision": "accept"} for theme, text in texts.items()]
        (tmp_path / "review.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
        words += [f"source.path={tmp_path / 'review.jsonl'}"]
    command = compose_config(*words, command=PrepareCommand, config_name="prepare")
    assert prepare_folder(job_of(command, Display())).changed
    assert not prepare_folder(job_of(command, Display())).changed
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text("utf-8"))
    assert [name.partition(" ")[0] for name in manifest["sources"]] in (["mlx.optimizers"], ["review.jsonl"])
    assert updates(session, quick_config, tmp_path / "out") > 0


def test_rows_that_leak_are_warned_of(session: Session, quick_config: Callable[..., Config], tmp_path: Path) -> None:
    rows = [json.dumps(SHAPES["pairs"](QUESTION.format(number), ANSWER.format(number))) for number in range(12)]
    (tmp_path / "train.jsonl").write_text("\n".join(rows[:9]), encoding="utf-8")
    (tmp_path / "valid.jsonl").write_text("\n".join(rows[7:]), encoding="utf-8")
    said = gather_inputs(quick_config(f"data.path={tmp_path}"), session).warnings
    told = f"2 of 5 rows of {tmp_path / 'valid.jsonl'} are lines of train.jsonl too (8 is 1, 9 is 2)"
    assert any(told in each for each in said)
