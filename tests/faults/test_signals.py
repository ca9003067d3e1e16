"""SIGTERM, SIGHUP and a closed terminal: a Ctrl-C from elsewhere, which costs no trial."""

import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import optuna
import psutil
import pytest

from harness.config.schema import Config, TrackingConfig
from harness.console.interrupt import Interrupted
from harness.console.progress import Display
from harness.run.context import RunHooks, RunPlace
from harness.run.pipeline import train_run
from harness.run.session import Session
from harness.sweeping.storage import open_studies
from harness.tracking import run_folder
from harness.tracking.store import Store, open_store
from tests.conftest import QUICK

LONG = ["train.iters=100000", "train.warmup=0", "generate.prompts=[]"]


def test_a_run_that_is_asked_to_end_keeps_its_state_and_says_by_what(
    quick_config: Callable[..., Config], store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    def report(step: int, loss: float) -> bool:
        if step == 3:
            signal.raise_signal(signal.SIGTERM)
        return False

    config, session = quick_config("name=terminated"), Session(store, Display())
    with pytest.raises(Interrupted, match="interrupted by SIGTERM"):
        train_run(config, session, RunPlace(), RunHooks(report=report))
    said = capsys.readouterr().err
    assert "interrupted by SIGTERM: stopping after this update" in said and "go on with: python -m " in said
    experiment = store.find_experiment("terminated")
    (run,) = store.client.search_runs([str(experiment)])
    assert (run.info.status, run.data.tags["failure"]) == ("KILLED", "interrupted by SIGTERM")
    assert (store.runs / run.info.run_id / run_folder.STATE).exists()
    resumed = train_run(quick_config("name=terminated", "train.resume=auto"), session, RunPlace())
    assert resumed.run_id == run.info.run_id and resumed.outcome.updates == 6


def _wait_for_checkpoint(home: Path, alive: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not list(home.glob("runs/*/adapters/0000003_adapters.safetensors")):
        assert alive() and time.monotonic() < deadline
        time.sleep(0.05)


def _command(home: Path, *words: str) -> list[str]:
    return [sys.executable, "-m", "harness.train", *words, *QUICK, *LONG, f"tracking.uri=sqlite:///{home}/mlflow.db"]


def test_under_nohup_a_run_outlives_its_terminal_and_sigterm_ends_it(tmp_path: Path) -> None:
    read, write = os.pipe()
    with subprocess.Popen(["nohup", *_command(tmp_path)], cwd=tmp_path, stdout=write, stderr=write) as process:
        os.close(write)
        _wait_for_checkpoint(tmp_path, lambda: process.poll() is None)
        process.send_signal(signal.SIGHUP)
        os.close(read)  # nobody reads any more what it says
        before = len(list(tmp_path.glob("runs/*/adapters/*")))
        deadline = time.monotonic() + 60
        while len(list(tmp_path.glob("runs/*/adapters/*"))) <= before:
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 143
    (folder,) = (tmp_path / "runs").iterdir()
    run = open_store(TrackingConfig(uri=f"sqlite:///{tmp_path}/mlflow.db")).client.get_run(folder.name)
    assert (run.info.status, run.data.tags["failure"]) == ("KILLED", "interrupted by SIGTERM")
    assert (folder / run_folder.STATE).exists()


def _check_no_trial_was_lost(home: Path, why: str) -> None:
    store = open_store(TrackingConfig(uri=f"sqlite:///{home}/mlflow.db"))
    runs = store.client.search_runs([store.experiment_id("poems")])
    assert {(run.info.status, run.data.tags["failure"]) for run in runs} == {("KILLED", why)} and len(runs) == 2
    studies = open_studies(None, store.studies)
    (name,) = studies.names()
    (trial,) = optuna.load_study(study_name=name, storage=studies.storage(name)).trials
    assert trial.state is optuna.trial.TrialState.RUNNING and trial.user_attrs["lease"] is None
    assert trial.user_attrs["attempt"] == 1, "it died of nothing"


def test_a_sweep_whose_terminal_is_closed_ends_after_the_update(tmp_path: Path) -> None:
    child, terminal = pty.fork()
    if child == 0:  # a session of its own, with the terminal
        os.chdir(tmp_path)
        os.execv(sys.executable, _command(tmp_path, "-m", "lora.rank=4,8"))
    try:
        controller = psutil.Process(child)
        _wait_for_checkpoint(tmp_path, lambda: controller.status() != psutil.STATUS_ZOMBIE)
        training = controller.children()
    finally:
        os.close(terminal)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 129
    assert not any(process.is_running() for process in training)
    _check_no_trial_was_lost(tmp_path, "interrupted by SIGHUP")


def test_a_sweep_that_all_its_processes_are_told_to_end_says_how_to_go_on(tmp_path: Path) -> None:
    """As by scancel and docker stop: those that train hear of it from elsewhere and from who watches over them."""
    command = _command(tmp_path, "-m", "lora.rank=4,8")
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as watching:
        _wait_for_checkpoint(tmp_path, lambda: watching.poll() is None)
        for process in psutil.Process(watching.pid).children():
            process.send_signal(signal.SIGTERM)
        watching.send_signal(signal.SIGTERM)
        said = watching.communicate(timeout=60)[1]
    assert watching.returncode == 143
    assert "go on with the same command: python -m harness.train" in said and "keyboard" not in said
    _check_no_trial_was_lost(tmp_path, "interrupted by SIGTERM")
