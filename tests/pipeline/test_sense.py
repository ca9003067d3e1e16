"""What tuning does to a base that makes sense: prose turns to lines, and too long on too little overfits."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from harness.config.schema import CompareCommand
from harness.console.progress import Display
from harness.run.context import RunPlace
from harness.run.pipeline import FinishedRun, train_run
from harness.run.session import Session
from harness.tracking.store import Store
from harness.writing.grid import lay_out, write_all
from tests.conftest import compose_config

TEXTS = ["generate.prompts=[河,灯,秋天,母亲]", "generate.max_tokens=48"]
TUNED = ["name=sense", "lora.rank=16", "train.max_seq_length=128", "train.save_every=40", *TEXTS]
GENTLY = ["train.iters=30", "train.learning_rate=4e-4", "train.steps_per_eval=30", "train.valid_rows=8"]
TOO_LONG = ["train.iters=25", "train.learning_rate=5e-3", "train.steps_per_eval=5"]
SCALES = [0.0, 0.5, 1.0, 2.0]


@dataclass(frozen=True)
class Tuned:
    store: Store
    gently: FinishedRun
    too_long: FinishedRun

    def losses(self, run: FinishedRun) -> list[float]:
        """Of the validations, in order."""
        found = self.store.client.get_metric_history(run.run_id, "valid/loss")
        return [point.value for point in sorted(found, key=lambda point: point.step)]

    def metrics(self, run: FinishedRun) -> dict[str, float]:
        return dict(self.store.client.get_run(run.run_id).data.metrics)


@pytest.fixture(scope="module")
def tuned(store: Store, poems: Path, tmp_path_factory: pytest.TempPathFactory) -> Tuned:
    """A base tuned gently on the shipped poems, and for long on six of them."""
    few = tmp_path_factory.mktemp("few")
    for name, rows in (("train", 6), ("valid", 8)):
        lines = (poems / f"{name}.jsonl").read_text("utf-8").splitlines(keepends=True)
        (few / f"{name}.jsonl").write_text("".join(lines[:rows]), encoding="utf-8")
    session = Session(store, Display())

    def run(*words: str) -> FinishedRun:
        return train_run(compose_config("model=small", *TUNED, *words), session, RunPlace())

    return Tuned(store, run(*GENTLY), run(*TOO_LONG, f"data.path={few}"))


@pytest.fixture(scope="module")
def by_scale(tuned: Tuned) -> dict[float, list[str]]:
    """The texts on four themes at each scale of the gently tuned adapter."""
    words = [f"adapters={tuned.gently.folder}/adapters", *TEXTS, f"tracking.uri={tuned.store.uri}"]
    command: Any = compose_config(*words, command=CompareCommand, config_name="compare")
    return {
        scale: [sample.text for sample in write_all(lay_out(command, [scale]), command, Display())] for scale in SCALES
    }


def test_the_loss_falls_by_a_quarter_in_thirty_updates(tuned: Tuned) -> None:
    losses = tuned.losses(tuned.gently)
    assert losses[-1] < 0.75 * losses[0]


def test_too_long_a_training_on_too_few_rows_is_seen_in_the_validation_loss(tuned: Tuned) -> None:
    losses = tuned.losses(tuned.too_long)
    assert losses.index(min(losses)) < len(losses) - 1
    assert losses[-1] > min(losses) + 0.1
    assert tuned.metrics(tuned.too_long)["train/loss"] < losses[-1] / 2


def test_from_prose_to_lines_as_the_scale_rises(by_scale: dict[float, list[str]]) -> None:
    lines = {scale: sum(text.strip().count("\n") for text in texts) for scale, texts in by_scale.items()}
    stops = {scale: sum(text.count("。") for text in texts) for scale, texts in by_scale.items()}
    assert lines[0] == 0 and stops[0] >= 4
    assert lines[0] < lines[0.5] < lines[1]
    assert stops[0] > stops[0.5] > stops[1] >= stops[2]


def test_what_the_untuned_base_writes_names_its_theme(by_scale: dict[float, list[str]]) -> None:
    assert all(theme in " ".join(by_scale[0]) for theme in ("河", "灯", "秋天", "母亲"))
