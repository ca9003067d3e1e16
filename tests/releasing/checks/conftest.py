"""What the checks' tests share: bases, rows, a good adapter and one trained too long on too little."""

from pathlib import Path

import pytest
import yaml

from harness.config.load import from_values
from harness.config.paths import CONF
from harness.config.schema import Config, GateConfig, ModelConfig
from harness.models.base import Base, open_base
from harness.releasing.checks.subject import Subject
from tests.conftest import compose_config
from tests.releasing.checks.adapters import made, trained

SHORT = ["lora.rank=16", "lora.num_layers=4", "train.max_seq_length=96", "train.batch_size=2", "train.warmup=0.0"]
SELDOM = ["train.steps_per_eval=1000", "train.save_every=1000", "train.valid_rows=6"]
TEXTS = ["generate.prompts=[河,灯]", "generate.max_tokens=48"]


@pytest.fixture(scope="session")
def gate() -> GateConfig:
    """As shipped."""
    return from_values(yaml.safe_load((CONF / "gate" / "default.yaml").read_text("utf-8")), GateConfig)


@pytest.fixture(scope="session")
def small() -> Base:
    return open_base(ModelConfig(path="builtin:small", revision=None))


@pytest.fixture(scope="session")
def few(poems: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four rows to train on, six to validate."""
    folder = tmp_path_factory.mktemp("few")
    for name, rows in (("train", 4), ("valid", 6)):
        lines = (poems / f"{name}.jsonl").read_text("utf-8").splitlines(keepends=True)
        (folder / f"{name}.jsonl").write_text("".join(lines[:rows]), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def config(few: Path) -> Config:
    """On the small base, gently: four updates."""
    found: Config = compose_config(
        "model=small",
        f"data.path={few}",
        "train.iters=4",
        "train.learning_rate=2e-4",
        *SHORT,
        *SELDOM,
        *TEXTS,
    )
    return found


@pytest.fixture(scope="session")
def good(small: Base, config: Config, tmp_path_factory: pytest.TempPathFactory) -> Subject:
    return made(small, config, tmp_path_factory.mktemp("good"), trained)


@pytest.fixture(scope="session")
def memorising(small: Base, few: Path, tmp_path_factory: pytest.TempPathFactory) -> Subject:
    """Really trained too long on the four rows."""
    much = ["train.iters=24", "train.learning_rate=5e-3"]
    config: Config = compose_config("model=small", f"data.path={few}", *much, *SHORT, *SELDOM, *TEXTS)
    return made(small, config, tmp_path_factory.mktemp("memorising"), trained)
