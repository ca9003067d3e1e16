"""A disk that is full under way, or cannot be written at all: one line, nothing spoilt, and the run can go on."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import mlx.core as mx
import pytest

from harness.config.schema import TrackingConfig
from harness.models.adapter import equal_weights
from harness.tracking.store import open_store
from tests.commands import Ended, Start, run_command, start_command
from tests.conftest import QUICK

# Runs harness.train; at update 5, after the checkpoint of update 3, the fault begins.
CHILD = """
import resource, signal, sys
from harness.machine import blas
blas.load()
from harness.run.watcher import RunWatcher
fault = sys.argv.pop(1)
update = RunWatcher.on_update
def limit():  # no file may grow beyond this
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
def fill():
    with open("ballast", "wb", buffering=0) as file:
        try:
            while file.write(b"x" * 4096) == 4096:
                pass
        except OSError:
            pass
def spoilt(self, at, loss):
    if at == 5:
        {"limit": limit, "fill": fill, "none": lambda: None}[fault]()
    update(self, at, loss)
RunWatcher.on_update = spoilt
from harness.train import main
main()
"""


def _train(home: Path, fault: str, *overrides: str, start: Start = run_command) -> Ended:
    words = [*QUICK, f"tracking.uri=sqlite:///{home / 'mlflow.db'}", *overrides]
    return start("-c", CHILD, fault, *words, folder=home)


def _weights(home: Path, run_id: str) -> dict[str, mx.array]:
    weights = mx.load(str(home / "runs" / run_id / "adapters" / "0000006_adapters.safetensors"))
    assert isinstance(weights, dict)
    return weights


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, mx.array]:
    home = tmp_path_factory.mktemp("undisturbed")
    done = _train(home, "none")
    assert done.returncode == 0, done.stderr
    return _weights(home, done.stdout.strip())


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MB in memory."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder)], capture_output=True)
    if mounted.returncode:
        pytest.skip("a small file system cannot be mounted here; the limit on the size of files is tested instead")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def _check_a_run_bears_it(home: Path, fault: str, undisturbed: dict[str, mx.array]) -> None:
    failed = _train(home, fault)
    assert failed.returncode == 1
    assert "Traceback" not in failed.stderr
    last = failed.stderr.splitlines()[-1]
    assert last.startswith("error: ") and "cannot be written" in last and "make room" in last, failed.stderr
    (run_id,) = (folder.name for folder in (home / "runs").iterdir())
    assert f"go on with: python -m harness.train {' '.join(QUICK[:1])}" in failed.stderr
    assert f"train.resume={run_id}" in failed.stderr
    half_written = [path for path in (home / "runs" / run_id).rglob(".*") if path.name != ".lock"]
    assert half_written == []
    (home / "ballast").unlink(missing_ok=True)
    resumed = _train(home, "none", f"train.resume={run_id}")
    assert resumed.returncode == 0, resumed.stderr
    assert equal_weights(_weights(home, run_id), undisturbed)
    run = open_store(TrackingConfig(uri=f"sqlite:///{home / 'mlflow.db'}")).client.get_run(run_id)
    assert run.info.status == "FINISHED" and "failure" not in run.data.tags


def test_a_limit_on_the_size_of_files_under_way(tmp_path: Path, undisturbed: dict[str, mx.array]) -> None:
    _check_a_run_bears_it(tmp_path, "limit", undisturbed)


def test_a_disk_that_is_full_under_way(small_disk: Path, undisturbed: dict[str, mx.array]) -> None:
    _check_a_run_bears_it(small_disk, "fill", undisturbed)


def test_a_disk_that_cannot_be_written(small_disk: Path) -> None:
    assert _train(small_disk, "none", start=start_command).returncode == 0  # closes its database
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    refused = _train(small_disk, "none")
    assert refused.returncode == 1
    said, error = refused.stderr.strip().splitlines()
    assert said.startswith("MLX's matrix products")
    assert error == (
        f"error: the tracking store sqlite:///{small_disk}/mlflow.db cannot be opened: (sqlite3.OperationalError) "
        "unable to open database file; see that it is whole and can be written, or choose another tracking.uri"
    )
    elsewhere = _train(small_disk, "none", f"tracking.uri=sqlite:///{small_disk}/new/mlflow.db")
    assert elsewhere.returncode == 1
    assert elsewhere.stderr.strip().endswith(
        f"{small_disk}/new cannot be written: Read-only file system; choose another folder, or change its rights"
    )
