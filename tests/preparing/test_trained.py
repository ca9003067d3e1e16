"""What a source gave is what training learns from: ten updates of the tiny base on each output."""

from pathlib import Path

import pytest

from harness.config.schema import PrepareCommand
from harness.console.progress import Display
from harness.preparing.job import job_of
from harness.preparing.pipeline import prepare_folder
from harness.run.context import RunPlace
from harness.run.pipeline import train_run
from harness.run.session import Session
from harness.tracking.store import Store
from tests.conftest import QUICK, compose_config


@pytest.fixture
def session(store: Store) -> Session:
    return Session(store, Display())


@pytest.mark.parametrize("settings", [["source=docstrings", "source.packages=[mlx.optimizers]"]])
def test_ten_updates_on_what_a_source_gave(settings: list[str], session: Session, tmp_path: Path) -> None:
    out = f"data.path={tmp_path / 'out'}"
    command = compose_config(*settings, out, command=PrepareCommand, config_name="prepare")
    assert prepare_folder(job_of(command, Display())).changed
    assert not prepare_folder(job_of(command, Display())).changed  # the same bytes
    done = train_run(compose_config(*QUICK, out, "train.iters=10", "generate.prompts=[]"), session, RunPlace())
    assert done.outcome.updates == 10
