"""From an author's passages, by inputs that a model writes, to a run that trains on them."""

import dataclasses
import json
from pathlib import Path
from typing import Any

from harness.config.paths import ROOT
from harness.config.schema import PrepareCommand
from harness.console.progress import Display
from harness.data.kinds import Kind
from harness.preparing.job import job_of
from harness.preparing.pipeline import Prepared, prepare_folder
from harness.run.context import RunPlace
from harness.run.pipeline import train_run
from harness.run.session import Session
from harness.tracking.store import Store
from tests.conftest import compose_config
from tests.judge_server import Habits, judge_server

PASSAGES: list[dict[str, str]] = json.loads((ROOT / "data" / "persona" / "passages.json").read_text("utf-8"))


def _says(question: str) -> str:
    """The inputs written by hand, with some talk; of one passage nothing but refusals."""
    number, passage = next((n, each) for n, each in enumerate(PASSAGES) if each["passage"] in question)
    if number == 3:
        return "I'm sorry, but I can't help with that."
    marks = {"neutral": "neutral prose", "plain": "leave information out", "abstract": "replaced by placeholders"}
    name = next(name for name, mark in marks.items() if mark in question)
    return f"Here is the rewritten passage:\n\n{passage[name]}"


def _prepare(out: Path, url: str) -> Prepared:
    words = ["source=pairs", f"source.path={ROOT / 'data' / 'persona' / 'passages.json'}", f"data.path={out}"]
    words += ["source.model=m", f"source.base_url={url}", "train.max_seq_length=2048"]
    job = job_of(compose_config(*words, command=PrepareCommand, config_name="prepare"), Display())
    return prepare_folder(dataclasses.replace(job, tools=dataclasses.replace(job.tools, cache=out.parent / "cache")))


def _lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()]


def test_passages_become_pairs_that_ten_updates_train_on(store: Store, tmp_path: Path) -> None:
    out, habits = tmp_path / "out", Habits(says=_says)
    with judge_server(habits) as url:
        prepared = _prepare(out, url)
        asked = len(habits.requests)
        assert not _prepare(out, url).changed and len(habits.requests) == asked == 1 + 36 + 3
    assert prepared.collected.rejected == {Kind.REFUSED: 3}
    splits = {name: _lines(out / f"{name}.jsonl") for name in ("train", "valid", "test")}
    sides = [{row["text"].partition("Response:\n")[2] for row in rows} for rows in splits.values()]
    assert sum(map(len, splits.values())) == 33 and sum(map(len, sides)) == len(set.union(*sides)) == 11
    assert {row["label"] for row in splits["valid"]} == {"neutral", "plain", "abstract"}
    assert {row["lineage"]["model"] for row in splits["train"]} == {"m"}

    small = ["model=tiny", "lora.num_layers=2", "lora.rank=8", "train.iters=10", "train.save_every=10"]
    small += ["train.steps_per_eval=10", "train.max_seq_length=416", "train.learning_rate=1e-3", "train.valid_rows=2"]
    small += [
        "train.grad_accumulation_steps=1",
        "train.grad_checkpoint=false",
        "data.labels=[plain]",
        "generate.prompts=[winter]",
        "generate.max_tokens=4",
    ]
    config = compose_config("experiment=persona-14b", *small, f"data.path={out}")
    outcome = train_run(config, Session(store, Display()), RunPlace()).outcome
    assert outcome.best.step == 10 and outcome.best.loss < outcome.start.loss
