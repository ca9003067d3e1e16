"""A run's chat template gets the same arguments in training, in its samples, and whenever its adapter writes."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.config.schema import GenerateCommand, PrepareCommand
from harness.console.progress import Display
from harness.models.adapter_reading import read_adapter
from harness.models.base import Base
from harness.preparing.show import show_folder
from harness.run.context import RunPlace
from harness.run.inputs import Inputs, gather_inputs
from harness.run.pipeline import FinishedRun, train_run
from harness.run.session import Session
from harness.sampling.samples import read_samples
from harness.tracking import run_folder
from harness.tracking.store import Store
from harness.writing.grid import Grid, lay_out
from tests.conftest import QUICK, compose_config
from tests.templates import THINKING

ON, OFF = "model.template_args={enable_thinking: true}", "model.template_args={enable_thinking: false}"
EMPTY = "<|im_start|>assistant\n<think>\n\n</think>\n\n"
Said = pytest.CaptureFixture[str]


@dataclass(frozen=True)
class Home:
    """A base whose template knows thoughts, and conversations of three turns with a system prompt and thoughts."""

    store: Store
    base: Path
    data: Path

    def words(self, *overrides: str) -> list[str]:
        tuned = ["train.iters=2", "train.steps_per_eval=2", "train.save_every=2", "train.max_seq_length=192"]
        paths = [f"model.path={self.base}", f"data.path={self.data}", f"tracking.uri={self.store.uri}"]
        # where a tokenizer has no token for thoughts, mlx-lm says false for it
        return [*QUICK, *tuned, *paths, "data.system=be brief", ON, *overrides]

    def inputs(self, *overrides: str) -> Inputs:
        return gather_inputs(compose_config(*self.words(*overrides)), Session(self.store, Display()))

    def train(self, *overrides: str) -> FinishedRun:
        config = compose_config(*self.words("name=templates", *overrides))
        return train_run(config, Session(self.store, Display()), RunPlace())

    def grid(self, *overrides: str) -> Grid:
        words = [f"tracking.uri={self.store.uri}", "theme=河", "data.system=be brief", *overrides]
        return lay_out(compose_config(*words, command=GenerateCommand, config_name="generate"), [1.0])


def _rows(thinks: Callable[[int], dict[str, Any]], count: int) -> str:
    lines = []
    for number in range(count):
        turns: list[dict[str, Any]] = [{"role": "system", "content": "be brief"}]
        for turn in range(3):
            turns.append({"role": "user", "content": f"{number} and {turn}"})
            turns.append({"role": "assistant", "content": f"{number + turn}", **thinks(turn)})
        lines.append(json.dumps({"messages": turns}))
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def home(base: Base, store: Store, tmp_path_factory: pytest.TempPathFactory) -> Home:
    folder = tmp_path_factory.mktemp("templates")
    shutil.copytree(base.folder, folder / "base")
    (folder / "base" / "chat_template.jinja").write_text(THINKING, encoding="utf-8")
    for name, thinks in (("plain", lambda turn: {}), ("thinking", lambda turn: {"reasoning_content": f"so {turn}"})):
        (folder / name).mkdir()
        for split, count in (("train", 6), ("valid", 4)):
            (folder / name / f"{split}.jsonl").write_text(_rows(thinks, count), encoding="utf-8")
    return Home(store, folder / "base", folder / "plain")


@pytest.fixture(scope="module")
def run(home: Home) -> FinishedRun:
    return home.train(OFF)


def test_samples_and_the_adapter_of_a_run_keep_what_its_template_was_given(home: Home, run: FinishedRun) -> None:
    folder = home.store.runs / run.run_id
    (sample,) = read_samples(folder / run_folder.SAMPLES)
    assert sample.prompt.endswith(EMPTY)
    assert read_adapter(folder / run_folder.ADAPTERS).spec.template_args == {"enable_thinking": False}
    config = yaml.safe_load((folder / run_folder.CONFIG).read_text("utf-8"))
    assert config["model"]["template_args"] == {"enable_thinking": False}


def test_an_adapter_writes_as_it_was_trained_unless_told_otherwise(home: Home, run: FinishedRun, capsys: Said) -> None:
    (planned,) = home.grid(f"adapters=runs:/{run.run_id}").planned
    assert planned.prompt.endswith(EMPTY)
    bare, worn = home.grid(f"adapters=[none,runs:/{run.run_id}]").planned
    assert bare.prompt == worn.prompt, "the base beside it is asked alike"
    assert "warning" not in capsys.readouterr().err
    (other,) = home.grid(f"adapters=runs:/{run.run_id}", ON).planned
    assert other.prompt.endswith("<|im_start|>assistant\n") and other.id != planned.id
    assert "was trained with model.template_args={'enable_thinking': False}, but is" in capsys.readouterr().err


def test_adapters_of_other_arguments_are_each_asked_as_they_were_trained(home: Home, run: FinishedRun) -> None:
    on = home.train()
    off, thinking = home.grid(f"adapters=[runs:/{run.run_id},runs:/{on.run_id}]").planned
    assert off.prompt == thinking.prompt + "<think>\n\n</think>\n\n"


def test_arguments_are_part_of_what_a_run_is(home: Home) -> None:
    none, off = home.inputs("model.template_args=null"), home.inputs("model.template_args.enable_thinking=false")
    assert "model.template_args" not in none.parts, "as in runs of before"
    assert off.parts["model.template_args"] == {"enable_thinking": False}


def test_thoughts_that_are_masked_or_dropped_are_other_data(home: Home) -> None:
    rows = f"data.path={home.data.parent / 'thinking'}"
    ways = [home.inputs(rows, f"data.thinking={way}").train for way in ("learn", "drop", "mask")]
    assert len({split.digest for split in ways}) == 3
    assert ways[0].rows[0].tokens.tolist() == ways[2].rows[0].tokens.tolist() != ways[1].rows[0].tokens.tolist()


def test_samples_that_are_asked_otherwise_than_the_rows_are_said(home: Home, capsys: Said) -> None:
    said = home.inputs("data.system=be long").warnings
    assert [each for each in said if "the prompts of samples are other than the rows'" in each and "be long" in each]
    assert not [each for each in home.inputs().warnings if "the prompts of samples" in each]


def test_rows_are_shown_as_the_template_with_its_arguments_makes_them(home: Home, capsys: Said) -> None:
    words = ["source=none", f"data.path={home.data}", f"model.path={home.base}", OFF, "show=1"]
    command = compose_config(*words, command=PrepareCommand, config_name="prepare")
    show_folder(command, Display(), home.data)
    shown = capsys.readouterr().out
    assert f"{EMPTY}⟦2<|im_end|>⟧" in shown
    assert "train.jsonl:1: an earlier turn is learned otherwise than asked" in shown
