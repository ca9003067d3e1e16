"""The main job against a real MLflow tracking server, whose artifacts are not in a local folder of ours."""

import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.config.paths import MLRUNS
from harness.config.schema import TrackingConfig
from harness.tracking.registry import resolve
from harness.tracking.store import open_store
from tests.conftest import QUICK
from tests.pipeline.test_commands import run


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home, port = tmp_path_factory.mktemp("server"), _free_port()
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", f"sqlite:///{home / 'server.db'}"]
    command += ["--artifacts-destination", str(home / "kept"), "--host", "127.0.0.1", "--port", str(port)]
    with (home / "log").open("w") as log:
        process = subprocess.Popen([*command, "--workers", "1"], stdout=log, stderr=log)
    uri = f"http://127.0.0.1:{port}"
    try:
        _wait_until_healthy(uri, process)
        yield uri
    finally:
        process.terminate()
        process.wait(timeout=20)


def _wait_until_healthy(uri: str, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{uri}/health", timeout=2):
                return
        except OSError:
            time.sleep(0.1)
    pytest.fail("the MLflow server did not start")


def test_train_promote_and_generate_through_a_server(server: str, tmp_path: Path) -> None:
    run_id = run("harness.train", *QUICK, f"tracking.uri={server}", "train.keep=1", cwd=tmp_path).strip()
    assert len(run_id) == 32, "stdout holds the run's id and nothing else"
    adapters = MLRUNS / "runs" / run_id / "adapters"
    promoted = run("harness.promote", "--name", "served", "--tracking-uri", server, cwd=tmp_path)
    assert "models:/served@champion is now version 1" in promoted
    shared = ["theme=河", "generate.max_tokens=4", f"tracking.uri={server}"]
    served = run("harness.generate", "adapter=models:/served@champion", *shared, cwd=tmp_path)
    assert served == run("harness.generate", f"adapter={adapters}", *shared, cwd=tmp_path)
    fetched = resolve(open_store(TrackingConfig(uri=server)), "models:/served@champion")
    assert (fetched / "adapters.safetensors").read_bytes() == (adapters / "adapters.safetensors").read_bytes()
    assert server in run("harness.runs", "--tracking-uri", server, cwd=tmp_path)
    assert list(tmp_path.iterdir()) == []
    shutil.rmtree(adapters.parent)
    shutil.rmtree(fetched)
