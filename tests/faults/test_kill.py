"""SIGKILL at seeded random instants of a run: gone on with, it ends with the weights of an undisturbed one.

An instant is a call into what a run does to the world: computing, writing and renaming files, logging.
"""

import json
import random
import subprocess
import sys
from pathlib import Path

import mlx.core as mx
import pytest

from harness.config.objective import VALID_LOSS
from harness.config.schema import TrackingConfig
from harness.tracking.store import Store, open_store
from tests.conftest import QUICK

SETTINGS = [
    *QUICK,
    "train.iters=8",
    "train.save_every=2",
    "train.steps_per_eval=3",
    "train.grad_accumulation_steps=2",
    "lora.dropout=0.2",
    "train.resume=auto",
]

# Runs harness.train; the process kills itself at the n-th of the counted calls (0: never), or says how many there were.
CHILD = """
import os, signal, sys
deadly = int(sys.argv.pop(1))
from harness.machine import blas
blas.load()
import mlx.core as mx
import pathlib
from mlflow import MlflowClient
from harness.run.log import EventLog
from harness.tracking.journal import Journal
count = 0
def counted(function):
    def call(*args, **kwargs):
        global count
        count += 1
        if count == deadly:
            if function is save:
                pathlib.Path(args[0]).write_bytes(b"half")
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*args, **kwargs)
    return call
save = mx.save_safetensors
mx.save_safetensors = counted(save)
mx.eval = counted(mx.eval)
pathlib.Path.replace = counted(pathlib.Path.replace)
EventLog.write = counted(EventLog.write)
Journal.add = counted(Journal.add)
for name in ("log_batch", "create_logged_model", "log_model_artifacts", "finalize_logged_model", "log_artifact"):
    setattr(MlflowClient, name, counted(getattr(MlflowClient, name)))
from harness.train import main
main()
print("CALLS", count)
"""


def _train(home: Path, deadly: int) -> "subprocess.CompletedProcess[str]":
    uri = f"tracking.uri=sqlite:///{home / 'mlflow.db'}"
    return subprocess.run(
        [sys.executable, "-c", CHILD, str(deadly), *SETTINGS, uri], cwd=home, capture_output=True, text=True
    )


def _store(home: Path) -> Store:
    return open_store(TrackingConfig(uri=f"sqlite:///{home / 'mlflow.db'}"))


def _weights(home: Path, run_id: str) -> dict[str, dict[str, mx.array]]:
    files = sorted((_store(home).runs / run_id / "adapters").glob("*.safetensors"))
    return {file.name: mx.load(str(file)) for file in files}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, int]:
    """Its home, its run's id, and how many instants there are."""
    home = tmp_path_factory.mktemp("undisturbed")
    done = _train(home, 0)
    assert done.returncode == 0, done.stderr
    run_id, calls = done.stdout.split("\nCALLS ")
    return home, run_id.strip(), int(calls)


def check_a_killed_run_goes_on(undisturbed: tuple[Path, str, int], home: Path, seed: int) -> None:
    reference, reference_id, calls = undisturbed
    rng = random.Random(seed)
    for _ in range(2):  # killed twice: a resumed run must bear it too
        killed = _train(home, rng.randint(1, calls))
        assert killed.returncode in (-9, 0), killed.stderr
    done = _train(home, 0)
    assert done.returncode == 0, done.stderr
    store = _store(home)
    experiment = store.experiment_id("poems")
    run_id = done.stdout.split("\n")[0]
    expected, found = _weights(reference, reference_id), _weights(home, run_id)
    assert found.keys() == expected.keys()
    for name in expected:
        assert all(mx.array_equal(expected[name][key], found[name][key]).item() for key in expected[name]), name
    run = store.client.get_run(run_id)
    assert run.info.status == "FINISHED" and "failure" not in run.data.tags
    before = _store(reference).client.get_run(reference_id).data.metrics
    assert {key: run.data.metrics[key] for key in ("valid/loss", VALID_LOSS.name)} == {
        key: before[key] for key in ("valid/loss", VALID_LOSS.name)
    }
    models = store.client.search_logged_models([experiment], filter_string=f"source_run_id = '{run_id}'")
    assert sorted(int(model.tags["step"]) for model in models) == [
        int(name[:7]) for name in sorted(expected) if name[0] == "0"
    ]
    report = json.loads((store.runs / run_id / "report.json").read_text("utf-8"))
    assert [entry["step"] for entry in report["validations"]] == [0, 2, 3, 4, 6, 8]
    assert [entry["step"] for entry in report["training"]] == [2, 4, 6, 8]
    left = [path for path in (store.runs / run_id).rglob(".*") if path.name != ".lock"]
    assert left == [] and not (store.runs / run_id / "tracking.staged").exists(), "no half-written file stays"


@pytest.mark.parametrize("seed", range(3))
def test_a_killed_run_goes_on_to_the_same_weights(
    undisturbed: tuple[Path, str, int], tmp_path: Path, seed: int
) -> None:
    check_a_killed_run_goes_on(undisturbed, tmp_path, seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 120))
def test_a_killed_run_goes_on_to_the_same_weights_at_many_instants(
    undisturbed: tuple[Path, str, int], tmp_path: Path, seed: int
) -> None:
    check_a_killed_run_goes_on(undisturbed, tmp_path, seed)
