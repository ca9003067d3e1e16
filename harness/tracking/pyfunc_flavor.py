"""What makes a checkpoint load as MLflow's python_function: small files beside the adapter, which name our loader.

They are written when the checkpoint becomes a model version, so that those which never do cost nothing, and those that
did before get theirs at their next promotion. Written by hand, for MLflow's own writer wants pandas. Stock mlx-lm
passes over them.
"""

import json
import platform
import tempfile
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mlflow
import yaml
from mlflow.entities import LoggedModel
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from harness.config.paths import CONF
from harness.config.yaml_file import read_mapping
from harness.tracking.store import Store

LOADER = "harness.writing.pyfunc"  # a name only: MLflow imports it where it loads the model
_MLMODEL = "MLmodel"
_PACKAGE = "lora-harness"
# of harness.generate's settings, those that a request may set, with MLflow's names of their types
_PARAMS = {"temperature": "double", "top_p": "double", "max_tokens": "long", "seed": "long"}


def make_loadable(store: Store, model_id: str) -> None:
    """See that mlflow.pyfunc.load_model loads the checkpoint. What is there already stays as it is."""
    model = store.client.get_logged_model(model_id)
    repository = get_artifact_repository(model.artifact_location, tracking_uri=store.uri)
    if any(file.path == _MLMODEL for file in repository.list_artifacts()):
        return
    with tempfile.TemporaryDirectory(prefix="harness-") as made:
        folder = Path(made)
        (folder / "requirements.txt").write_text(f"{_PACKAGE}>={version(_PACKAGE)}\n")
        environment = {"python": platform.python_version(), "dependencies": ["-r requirements.txt"]}
        (folder / "python_env.yaml").write_text(yaml.safe_dump(environment))
        (folder / _MLMODEL).write_text(yaml.safe_dump(_described(model)))
        store.client.log_model_artifacts(model_id, str(folder))


def _described(model: LoggedModel) -> dict[str, Any]:
    """No path stands in it: the base is told by adapter_config.json alone."""
    flavor = {
        "loader_module": LOADER,
        "python_version": platform.python_version(),
        "env": {"virtualenv": "python_env.yaml"},
    }
    return {
        "flavors": {"python_function": flavor},
        "metadata": {"inputs": "themes; or rows with one of theme, prompt and messages"},
        "mlflow_version": mlflow.__version__,
        "model_id": model.model_id,
        "model_uuid": model.model_id,
        "run_id": model.source_run_id,
        "signature": _signature(),
        "utc_time_created": str(datetime.now(UTC).replace(tzinfo=None)),
    }


def _signature() -> dict[str, str | None]:
    """No schema of inputs: one with names would let go of a plain list of themes, one without of all other columns."""
    usual = read_mapping(CONF / "generate" / "default.yaml")
    params = [{"name": key, "type": kind, "default": usual[key], "shape": None} for key, kind in _PARAMS.items()]
    return {
        "inputs": None,
        "outputs": json.dumps([{"type": "string", "required": True}]),
        "params": json.dumps(params),
    }
