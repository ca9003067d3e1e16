"""A tracking store that is killed, hung, locked or started again: no run stops, waits or loses anything."""

import functools
import json
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlflow
import pytest

from harness.config.objective import VALID_LOSS
from harness.config.paths import MLRUNS
from harness.config.read_axes import read_space
from harness.config.schema import Config, TrackingConfig
from harness.console.progress import Display
from harness.errors import HarnessError
from harness.multirun.context import Connect
from harness.multirun.sweep import run_sweep
from harness.run.context import RunPlace
from harness.run.pipeline import FinishedRun, train_run
from harness.run.session import Session
from harness.tracking import run_folder
from harness.tracking.candidates import run_checkpoints
from harness.tracking.queries import get
from harness.tracking.reconcile import close_orphans, reconcile
from harness.tracking.run_state import RunState
from harness.tracking.runs import TrackedRun
from harness.tracking.store import Store, open_store
from tests.commands import run_command, start_command
from tests.conftest import QUICK, compose_config
from tests.server import Server
from tests.updates import Acting, at_update

_CALLS = ("params", "tags", "metrics", "dataset", "artifact", "table", "checkpoint", "drop_checkpoint", "finish")


@pytest.fixture(scope="module")
def one_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """MLflow's global URI is put back."""
    former = mlflow.get_tracking_uri()
    started = Server(tmp_path_factory.mktemp("server"))
    yield started
    started.close()
    mlflow.set_tracking_uri(former)
    mlflow.set_registry_uri(former)


@pytest.fixture
def server(one_server: Server) -> Server:
    """It answers, whatever the test before did to it."""
    one_server.revive()
    return one_server


@pytest.fixture
def connect(tmp_path: Path) -> Connect:
    """To a server, with the runs of its clients in the test's folder."""
    return lambda tracking, display: Session(replace(open_store(tracking), beside_server=tmp_path), display)


@pytest.fixture
def session(server: Server, connect: Connect) -> Session:
    return connect(TrackingConfig(uri=server.uri), Display())


@pytest.fixture
def waited(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds of each call by which a run tells MLflow something."""
    seconds: list[float] = []

    def timed(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            start = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                seconds.append(time.perf_counter() - start)

        return call

    for name in _CALLS:
        monkeypatch.setattr(TrackedRun, name, timed(getattr(TrackedRun, name)))
    return seconds


def _wait_for_the_thread(done: FinishedRun) -> None:
    """A request that hung may go on after its run ended; until it ends, the run is this process's."""
    for thread in threading.enumerate():
        if thread.name == f"tracking {done.folder.name}":
            thread.join(timeout=30)


def _check_complete(store: Store, done: FinishedRun) -> None:
    """MLflow has the whole run, each point once."""
    run = store.client.get_run(done.run_id)
    assert run.info.status == "FINISHED" and "failure" not in run.data.tags
    steps = {key: [m.step for m in store.client.get_metric_history(run.info.run_id, key)] for key in run.data.metrics}
    assert steps["train/loss"] == [2, 4, 6] and steps["valid/loss"] == [0, 3, 6] and steps[VALID_LOSS.name] == [6]
    assert run.data.params["lora.rank"] == "8"
    found = run_checkpoints(store, run.info.run_id)
    assert sorted(point.step for point in found) == [3, 6]
    kept = {file.path for file in store.client.list_artifacts(run.info.run_id)}
    texts = {"samples.json", "samples.jsonl"}
    assert kept == {"config.yaml", "loss.png", "report.json", "log.jsonl", "valid_rows.npz"} | texts
    assert (store.runs / run.info.run_id / "report.json").exists(), "found by MLflow's id too"


@pytest.mark.alone
@pytest.mark.parametrize("fault", ["kill", "hang"])
def test_a_server_that_goes_away_neither_stops_nor_slows_nor_loses_a_run(
    fault: str,
    server: Server,
    session: Session,
    quick_config: Callable[..., Config],
    waited: list[float],
    capsys: pytest.CaptureFixture[str],
) -> None:
    done = train_run(quick_config(), session, RunPlace(), at_update(3, getattr(server, fault)))
    assert sum(waited) < 1.0, "in all"
    said = capsys.readouterr().err
    assert f"of run {done.run_id} have not reached {server.uri}" in said
    assert "send them with python -m harness.reconcile" in said
    if fault == "kill":
        server.start()
    else:
        server.go_on()
    _wait_for_the_thread(done)
    assert all(settled.left is None for settled in reconcile(session.store))
    _check_complete(session.store, done)
    assert list(reconcile(session.store)) == [], "a second time there is nothing to do"


@pytest.mark.alone
def test_a_process_ends_though_the_server_hangs_and_another_sends_the_rest(server: Server, tmp_path: Path) -> None:
    code = f"""
import os, signal, time
from harness.machine import blas
blas.load()
from harness.run.watcher import RunWatcher
update = RunWatcher.on_update
def hang(self, at, loss):
    if at == 3:
        os.killpg({server.group}, signal.SIGSTOP)
    if at == 6:
        print(time.time())
    update(self, at, loss)
RunWatcher.on_update = hang
from harness.train import main
main()
print(time.time())
"""
    words = [*QUICK, f"tracking.uri={server.uri}"]
    ended = run_command("-c", code, *words, folder=tmp_path)
    assert ended.returncode == 0 and "have not reached" in ended.stderr, ended.stderr
    server.go_on()
    last_update, run_id, end = ended.stdout.split()
    folder = MLRUNS / "runs" / run_id
    assert float(end) - float(last_update) < 5, "samples and a report, no wait for the server"
    said = start_command("-m", "harness.reconcile", "--tracking-uri", server.uri, folder=tmp_path, check=True).stdout
    assert f"run {run_id} (" in said and "entries sent: " in said and "KILLED" not in said
    store = open_store(TrackingConfig(uri=server.uri))
    assert store.client.get_run(run_id).info.status == "FINISHED"
    shutil.rmtree(folder)


def test_a_server_that_comes_back_during_the_run_gets_everything(
    server: Server, session: Session, quick_config: Callable[..., Config]
) -> None:
    server.hang()
    with pytest.raises(HarnessError, match="does not answer; start it, or keep the run here with tracking.uri=null"):
        train_run(quick_config(), session, RunPlace())
    server.go_on()

    def come_and_go(name: str, step: int) -> None:
        if step == 2:
            server.kill()
        if step == 5:
            server.start()

    done = train_run(quick_config(), Session(session.store, Acting(come_and_go)), RunPlace())
    _check_complete(session.store, done)


def test_trials_begin_without_the_server_and_are_sent_later(server: Server, connect: Connect, tmp_path: Path) -> None:
    def compose(overrides: Any) -> Config:
        return compose_config(*QUICK, f"tracking.uri={server.uri}", *overrides)

    def kill(name: str, step: int) -> None:
        if (name, step) == ("rank=4", 3):
            server.kill()

    swept = run_sweep(read_space({}, ["lora.rank=4,8"]), compose, Acting(kill), connect=connect)
    assert [result.failure for result in swept.results] == [None, None]
    server.start()
    store = connect(TrackingConfig(uri=server.uri), Display()).store
    settled = list(reconcile(store))
    assert [each.name for each in settled] == ["rank=4", "rank=8", "sweep lora.rank=4,8"]
    assert all(each.left is None and not each.closed for each in settled)
    runs = {each.name: store.client.get_run(each.run_id) for each in settled}
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    later = runs["rank=8"]
    assert later.data.tags["mlflow.parentRunId"] == swept.sweep_id
    assert (tmp_path / "runs" / later.info.run_id).is_symlink(), "its folder had a name before MLflow gave an id"
    assert get(store, later.info.run_id).metrics[VALID_LOSS.name] > 0


@pytest.mark.alone
def test_a_database_that_another_program_holds_neither_stops_nor_slows_nor_loses_a_run(
    tmp_path: Path, quick_config: Callable[..., Config], waited: list[float]
) -> None:
    session = Session(open_store(TrackingConfig(uri=f"sqlite:///{tmp_path / 'mlflow.db'}")), Display())
    holder = sqlite3.connect(tmp_path / "mlflow.db", isolation_level=None)
    hold = at_update(3, lambda: holder.execute("BEGIN IMMEDIATE"))
    done = train_run(quick_config(), session, RunPlace(), hold)
    assert sum(waited) < 1.0, "in all"
    holder.execute("ROLLBACK")
    holder.close()
    _wait_for_the_thread(done)
    assert all(settled.left is None for settled in reconcile(session.store))
    _check_complete(session.store, done)


def test_a_run_whose_process_was_killed_is_closed_and_can_be_gone_on_with(tmp_path: Path) -> None:
    uri = f"tracking.uri=sqlite:///{tmp_path / 'mlflow.db'}"
    code = """
import os, signal
from harness.machine import blas
blas.load()
from harness.run.watcher import RunWatcher
def die(self, at, loss):
    if at == 5:
        os.kill(os.getpid(), signal.SIGKILL)
RunWatcher.on_update = die
from harness.train import main
main()
"""
    killed = run_command("-c", code, *QUICK, uri, folder=tmp_path)
    assert killed.returncode == -9, killed.stderr

    def command(*words: str) -> str:
        return run_command("-m", *words, folder=tmp_path, check=True).stdout

    said = command("harness.reconcile", "--tracking-uri", uri.partition("=")[2])
    store = open_store(TrackingConfig(uri=uri.partition("=")[2]))
    (run_id,) = (folder.name for folder in store.runs.iterdir())
    assert "its process was gone: now KILLED" in said
    assert f"go on with: python -m harness.train {QUICK[0]}" in said and f"train.resume={run_id}" in said
    assert (store.runs / run_id / run_folder.STATE).exists()
    closed = store.client.get_run(run_id)
    assert closed.info.status == "KILLED" and "its process was gone" in closed.data.tags["failure"]
    assert "nothing to do" in command("harness.reconcile", "--tracking-uri", store.uri)
    command("harness.train", *QUICK, uri, f"train.resume={run_id}")
    finished = store.client.get_run(run_id)
    assert finished.info.status == "FINISHED" and "failure" not in finished.data.tags


def test_a_server_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    done = run_command("-m", "harness.train", *QUICK, "tracking.uri=http://127.0.0.1:9", folder=tmp_path)
    assert done.returncode == 1
    said, error = done.stderr.strip().splitlines()
    assert said.startswith("MLX's matrix products")
    assert error == (
        "error: the tracking server http://127.0.0.1:9 does not answer; "
        "start it, or keep the run here with tracking.uri=null"
    )


def test_a_password_in_the_uri_is_refused() -> None:
    with pytest.raises(HarnessError, match="must not hold a user or password") as caught:
        open_store(TrackingConfig(uri="http://me:secret@127.0.0.1:5000"))
    assert "secret" not in str(caught.value)


def test_a_journal_whose_last_line_is_half_written_is_read(store: Store) -> None:
    with TrackedRun.start(store, "half", name="r", tags={"kind": "run"}) as run:
        run.metrics(1, {"train/loss": 2.0})
    journal = run.folder / "tracking.jsonl"
    whole = journal.read_bytes()
    journal.write_bytes(whole + json.dumps({"kind": "metrics"}).encode()[:8])
    with TrackedRun.resume(store, run.folder) as again:
        again.metrics(1, {"train/loss": 2.0})
        again.metrics(2, {"train/loss": 1.0})
        assert again.finish(RunState.FINISHED) == 0
    history = store.client.get_metric_history(run.run_id, "train/loss")
    assert [(point.step, point.value) for point in history] == [(1, 2.0), (2, 1.0)]


def test_a_run_without_a_folder_is_closed_once_it_is_old_enough(tmp_path: Path) -> None:
    store = open_store(TrackingConfig(uri=f"sqlite:///{tmp_path / 'mlflow.db'}"))
    experiment = store.experiment_id("orphans")
    now = int(time.time() * 1000)
    old, new = (store.client.create_run(experiment, start_time=now - age).info.run_id for age in (120_000, 1_000))
    assert close_orphans(store) == [old]
    assert [store.client.get_run(run_id).info.status for run_id in (old, new)] == ["KILLED", "RUNNING"]


def test_a_database_that_was_moved_with_its_runs_is_still_settled(tmp_path: Path) -> None:
    (tmp_path / "before").mkdir()
    store = open_store(TrackingConfig(uri=f"sqlite:///{tmp_path / 'before' / 'mlflow.db'}"))
    with TrackedRun.start(store, "moved", name="r", tags={"kind": "run"}) as run:
        pass
    (tmp_path / "before").rename(tmp_path / "after")
    moved = open_store(TrackingConfig(uri=f"sqlite:///{tmp_path / 'after' / 'mlflow.db'}"))
    assert [(settled.run_id, settled.closed) for settled in reconcile(moved)] == [(run.run_id, True)]
    assert moved.client.get_run(run.run_id).info.status == "KILLED"
