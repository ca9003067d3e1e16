"""A sweep whose processes are killed at random moments: every configuration once, with an undisturbed one's bytes."""

import random
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import mlx.core as mx
import psutil
import pytest

from harness.config.schema import TrackingConfig
from harness.models.adapter import equal_weights
from harness.tracking.store import open_store
from tests.conftest import QUICK

WORDS = ["lora.rank=2,4,6", "train.iters=40", "train.warmup=0", "train.steps_per_eval=10", "train.save_every=10"]
NAMES = ["rank=2", "rank=4", "rank=6"]
KILLS = 4


def _command(home: Path, workers: int, retries: int = 0) -> list[str]:
    usual = ["generate.prompts=[]", f"tracking.uri=sqlite:///{home / 'mlflow.db'}", f"sweep.retries={retries}"]
    return [
        sys.executable,
        "-m",
        "harness.train",
        "-m",
        *QUICK,
        *usual,
        *WORDS,
        f"sweep.workers={workers}",
    ]


def _run(home: Path, workers: int, retries: int = 0) -> None:
    done = subprocess.run(_command(home, workers, retries), cwd=home, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


def _weights(home: Path) -> list[dict[str, mx.array]]:
    """Of the trials, by name; each is finished once, and what else began is closed."""
    store = open_store(TrackingConfig(uri=f"sqlite:///{home / 'mlflow.db'}"))
    runs = store.client.search_runs([store.experiment_id("poems")])
    assert {run.info.status for run in runs} <= {"FINISHED", "KILLED"}
    done = {run.info.run_name: run for run in runs if run.info.status == "FINISHED" and "trial" in run.data.tags}
    count = sum(run.info.status == "FINISHED" and "trial" in run.data.tags for run in runs)
    assert sorted(done) == NAMES and count == 3
    files = [store.runs / done[name].info.run_id / "adapters" / "0000040_adapters.safetensors" for name in NAMES]
    loaded = [mx.load(str(file)) for file in files]
    return [weights for weights in loaded if isinstance(weights, dict)]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, mx.array]]:
    home = tmp_path_factory.mktemp("undisturbed")
    _run(home, 1)
    return _weights(home)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_a_sweep_killed_at_random_moments_ends_as_an_undisturbed_one(
    seed: int, tmp_path: Path, undisturbed: list[dict[str, mx.array]]
) -> None:
    """One or two workers; the victim is the process that watches, or one that trains, or all (a power cut).

    Where all die at once no trial may die of it, however often; where it is one that trains, it may.
    """
    chance = random.Random(seed)
    workers, power_cut = 1 + seed % 2, seed % 4 > 1
    retries = 0 if power_cut else 20
    for _ in range(KILLS):
        with subprocess.Popen(
            _command(tmp_path, workers, retries), cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as watching:
            time.sleep(chance.uniform(2.0, 9.0))  # the moment is what is tested
            training = psutil.Process(watching.pid).children() if watching.poll() is None else []
            everybody = [psutil.Process(watching.pid), *training] if training else []
            victims = everybody if power_cut else chance.sample(everybody, k=min(1, len(everybody)))
            for victim in victims:
                with suppress(psutil.NoSuchProcess):
                    victim.kill()
            if watching.pid not in {victim.pid for victim in victims}:
                watching.wait(timeout=300)  # it goes on by itself
            psutil.wait_procs(training, timeout=60)
    _run(tmp_path, workers, retries)
    assert all(equal_weights(*pair) for pair in zip(undisturbed, _weights(tmp_path), strict=True))
