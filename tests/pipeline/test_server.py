"""The main job against a real MLflow tracking server, whose artifacts are not in a local folder of ours."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.config.paths import MLRUNS
from harness.config.schema import TrackingConfig
from harness.tracking.registry import resolve
from harness.tracking.store import open_store
from tests.conftest import QUICK
from tests.pipeline.test_commands import run
from tests.server import Server


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    started = Server(tmp_path_factory.mktemp("server"))
    yield started.uri
    started.close()


def test_train_promote_and_generate_through_a_server(server: str, tmp_path: Path) -> None:
    run_id = run("harness.train", *QUICK, f"tracking.uri={server}", "train.keep=1", cwd=tmp_path).strip()
    assert len(run_id) == 32, "stdout holds the run's id and nothing else"
    adapters = MLRUNS / "runs" / run_id / "adapters"
    promoted = run(
        "harness.promote", "--name", "served", "--tracking-uri", server, "gate.extraction.rows=4", cwd=tmp_path
    )
    assert "models:/served@champion is now version 1" in promoted
    shared = ["theme=河", "generate.max_tokens=4", f"tracking.uri={server}"]
    served = run("harness.generate", "adapters=models:/served@champion", *shared, cwd=tmp_path)
    assert served == run("harness.generate", f"adapters={adapters}", *shared, cwd=tmp_path)
    store = open_store(TrackingConfig(uri=server))
    shutil.rmtree(resolve(store, "models:/served@champion"))  # as it was fetched before it was promoted
    fetched = resolve(store, "models:/served@champion")
    assert (fetched / "MLmodel").is_file(), "mlflow.pyfunc loads it too"
    assert (fetched / "adapters.safetensors").read_bytes() == (adapters / "adapters.safetensors").read_bytes()
    assert server in run("harness.runs", "--tracking-uri", server, cwd=tmp_path)
    assert list(tmp_path.iterdir()) == []
    shutil.rmtree(adapters.parent)
    shutil.rmtree(fetched)
