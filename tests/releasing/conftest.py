"""What the tests of releasing share: runs that were really trained, told to the store."""

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.console.progress import Display
from harness.run.context import RunPlace
from harness.run.pipeline import train_run
from harness.run.session import Session
from harness.tracking.store import Store
from tests.conftest import QUICK, compose_config

Train = Callable[..., str]


@pytest.fixture(scope="session")
def train(store: Store) -> Train:
    """Train on the tiny base; gives the run's id."""

    def run(*words: str) -> str:
        config = compose_config(*QUICK, "generate.prompts=[]", *words)
        return train_run(config, Session(store, Display(silent=True)), RunPlace()).run_id

    return run


@pytest.fixture(scope="session")
def tested(poems: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few rows to train on, to validate and to test."""
    return _some(poems, tmp_path_factory.mktemp("tested"), train=20, valid=8, test=8)


@pytest.fixture(scope="session")
def untested(poems: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Without any that chose nothing."""
    return _some(poems, tmp_path_factory.mktemp("untested"), train=20, valid=8)


def _some(poems: Path, folder: Path, **rows: int) -> Path:
    for name, count in rows.items():
        lines = (poems / f"{name}.jsonl").read_text("utf-8").splitlines(keepends=True)
        (folder / f"{name}.jsonl").write_text("".join(lines[:count]), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def good(train: Train, tested: Path) -> str:
    return train("name=gated", f"data.path={tested}", "train.iters=9")


@pytest.fixture(scope="session")
def worse(train: Train, tested: Path) -> str:
    """Much better than its base, and much worse than the good one."""
    return train("name=gated", f"data.path={tested}", "train.iters=3", "train.learning_rate=1e-3")
