"""A run that a person deletes in MLflow while it is at work: that means stop it, and there is no more to settle."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.config.schema import TrackingConfig
from harness.errors import DeletedError
from harness.sweeping.listing import find_study
from harness.sweeping.storage import open_studies
from harness.tracking.entry_kind import EntryKind
from harness.tracking.journal import Journal
from harness.tracking.reconcile import reconcile, run_folders
from harness.tracking.run_state import RunState
from harness.tracking.runs import TrackedRun
from harness.tracking.sender import Sender
from harness.tracking.store import Store, open_store
from tests.conftest import QUICK


@pytest.fixture
def run(store: Store) -> Iterator[TrackedRun]:
    with TrackedRun.start(store, "deleted", name="r", tags={"kind": "run"}) as started:
        yield started


def _settled(store: Store) -> list[str]:
    return [each.run_id for each in reconcile(store)]


def test_a_run_learns_that_it_was_deleted_and_nothing_waits(store: Store, run: TrackedRun) -> None:
    assert not run.deleted
    store.client.delete_run(run.run_id)
    run.metrics(1, {"train/loss": 1.0})
    assert run.drain() == 0
    assert run.deleted and run.trouble is None, "it is no fault of the store's"
    run.metrics(2, {"train/loss": 1.0})
    assert run.finish(RunState.KILLED, "deleted in MLflow") == 0


def test_a_run_that_tells_nothing_learns_it_too(store: Store, run: TrackedRun) -> None:
    run.drain()
    store.client.delete_run(run.run_id)
    until = time.monotonic() + 20
    while not run.deleted and time.monotonic() < until:
        run.drain()
        time.sleep(0.01)
    assert run.deleted


def test_the_sender_says_it_with_a_kind_of_its_own(store: Store, run: TrackedRun) -> None:
    run.drain()
    store.client.delete_run(run.run_id)
    folder = run.folder
    journal = Journal(folder)
    journal.write(EntryKind.METRICS, step=1, values={"train/loss": 1.0})
    with pytest.raises(DeletedError, match="was deleted in MLflow"):
        Sender(store, journal).send_next()


def test_what_a_deleted_run_left_is_settled_once_and_goes_out_when_it_is_restored(store: Store) -> None:
    with TrackedRun.start(store, "deleted", name="r", tags={"kind": "run"}) as run:
        assert run.drain() == 0
        store.client.delete_run(run.run_id)
        journal = Journal(run.folder)
    journal.write(EntryKind.METRICS, step=1, values={"train/loss": 1.5})  # its process died before it could be told
    (settled,) = [each for each in reconcile(store) if each.run_id == run.run_id]
    assert (settled.closed, settled.deleted, settled.left) == (True, True, None)
    assert run.run_id not in _settled(store), "once"
    store.client.restore_run(run.run_id)
    assert run.run_id in _settled(store)
    found = store.client.get_run(run.run_id)
    assert found.data.metrics["train/loss"] == 1.5 and found.info.status == "KILLED"


def test_a_run_that_was_restored_and_goes_on_tells_again(store: Store, run: TrackedRun) -> None:
    with TrackedRun.start(store, "deleted", name="again", tags={"kind": "run"}) as first:
        store.client.delete_run(first.run_id)
        first.finish(RunState.KILLED)
        assert first.deleted
    store.client.restore_run(first.run_id)
    with TrackedRun.resume(store, first.folder) as second:
        second.metrics(3, {"train/loss": 0.5})
        assert second.finish(RunState.FINISHED) == 0 and not second.deleted
    assert store.client.get_run(first.run_id).data.metrics == {"train/loss": 0.5}


@pytest.mark.slow
def test_a_deleted_sweep_of_several_workers_ends_with_all_of_its_runs_closed(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    words = ["lora.rank=2,3,4", "train.iters=100000", "generate.prompts=[]", f"tracking.uri={uri}", "sweep.workers=2"]
    command = [sys.executable, "-m", "harness.train", "-m", *QUICK, *words]
    store = open_store(TrackingConfig(uri=uri))
    studies = open_studies(None, store.studies)
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as watching:
        until = time.monotonic() + 120
        while len(list(tmp_path.glob("runs/*/state.safetensors"))) < 2:  # both are at work
            assert watching.poll() is None and time.monotonic() < until
            time.sleep(0.1)
        sweep_id = find_study(studies, None).parent
        store.client.delete_run(sweep_id)
        said = watching.communicate(timeout=120)[1]
    assert watching.returncode == 1, said
    assert f"sweep {sweep_id} was deleted in MLflow, with 0 of 3 trials done" in said
    journals = [Journal(folder) for folder in run_folders(store)]
    assert [(each.ended, each.waiting) for each in journals] == 3 * [("KILLED", 0)], said
    assert not find_study(studies, sweep_id).workers
