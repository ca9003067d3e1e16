"""harness.promote by several at once, and interrupted: one champion, and nothing half-written."""

import signal
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from harness.config.schema import TrackingConfig
from harness.console.progress import Display
from harness.run.context import RunPlace
from harness.run.pipeline import train_run
from harness.run.session import Session
from harness.tracking.moves import moves_of
from harness.tracking.registry import alias_version
from harness.tracking.store import Store, open_store
from harness.tracking.versions import model_names, versions_of
from tests.commands import run_command
from tests.conftest import QUICK, compose_config
from tests.releasing.gates import FEW


@pytest.fixture(scope="module")
def own_store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """In which no other test promotes."""
    return open_store(TrackingConfig(uri=f"sqlite:///{tmp_path_factory.mktemp('promoting') / 'mlflow.db'}"))


@pytest.fixture(scope="module")
def runs(own_store: Store) -> Sequence[str]:
    session = Session(own_store, Display(silent=True))
    configs = [compose_config(*QUICK, "generate.prompts=[]", f"train.iters={iters}") for iters in (3, 9)]
    return [train_run(config, session, RunPlace()).run_id for config in configs]


def test_two_processes_at_once_leave_one_champion_and_the_moves_that_led_to_it(
    own_store: Store, runs: Sequence[str], tmp_path: Path
) -> None:
    def promote(run_id: str) -> subprocess.CompletedProcess[str]:
        words = ["-m", "harness.promote", "--run", run_id, "--name", "both", "--tracking-uri", own_store.uri, *FEW]
        return run_command(*words, folder=tmp_path)

    with ThreadPoolExecutor(2) as several:
        ended = list(several.map(promote, runs))
    assert all(each.returncode in (0, 1) and "Traceback" not in each.stderr for each in ended)
    assert ended[1].returncode == 0, "the better one, whichever came first"
    versions, moves = versions_of(own_store, "both"), moves_of(own_store, "both")
    champion = next(each for each in versions if each.number == alias_version(own_store, "both", "champion"))
    assert champion.run_id == runs[1]
    assert [move.before for move in moves] == [None, *(move.to for move in moves[:-1])]
    assert moves[-1].to == champion.number and len(moves) == len(versions)


def test_ctrl_c_while_it_compares_leaves_the_registry_as_it_was(
    own_store: Store, runs: Sequence[str], tmp_path: Path
) -> None:
    before = [(name, versions_of(own_store, name)) for name in model_names(own_store)]
    words = ["-m", "harness.promote", "--run", runs[0], "--name", "cut", "--tracking-uri", own_store.uri]
    process = subprocess.Popen(
        [sys.executable, *words],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("comparison: passed"):
            break
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 130 and said.endswith("interrupted from the keyboard\n") and "Traceback" not in said
    assert [(name, versions_of(own_store, name)) for name in model_names(own_store)] == before
