"""Checkpoints as MLflow LoggedModels: the adapter's files and its own scores, each stored once."""

import math
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mlflow.artifacts import download_artifacts
from mlflow.entities import LoggedModelOutput, Metric
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.utils.file_utils import local_file_uri_to_path

from harness.config.paths import MLRUNS
from harness.tracking.runs import TrackedRun
from harness.tracking.store import Store

MODEL_TYPE = "lora-adapter"


def log_checkpoint(
    run: TrackedRun,
    weights: Path,
    *,
    configs: Sequence[Path],
    step: int,
    scores: Mapping[str, float],
    dataset: tuple[str, str],
    params: Mapping[str, Any],
    tags: Mapping[str, str],
) -> str:
    """Log one adapter as a model that stock mlx-lm can load; returns the model's id.

    `configs` are small files to go with it: adapter_config.json, and what else says how it came about.
    `dataset` is the name and digest of the split that was scored. Where the artifact store is a local
    folder, `weights` becomes a hard link into it, so that the bytes lie on disk once.
    """
    client = run.store.client
    model = client.create_logged_model(
        run.experiment_id,
        name=f"step-{step:07d}",
        source_run_id=run.run_id,
        tags={**tags, "step": str(step)},
        params={key: str(value) for key, value in params.items()},
        model_type=MODEL_TYPE,
    )
    with tempfile.TemporaryDirectory(prefix=".logging-", dir=weights.parent) as staging:
        staged = Path(staging)
        _link(weights, staged / "adapters.safetensors")
        for config in configs:
            shutil.copyfile(config, staged / config.name)
        client.log_model_artifacts(model.model_id, staging)
    now = model.creation_timestamp
    name, digest = dataset
    client.log_batch(
        run.run_id,
        metrics=[
            Metric(key, value, now, step, model_id=model.model_id, dataset_name=name, dataset_digest=digest)
            for key, value in scores.items()
            if math.isfinite(value)  # MLflow would keep a NaN as 0 here: the best of all losses
        ],
    )
    client.finalize_logged_model(model.model_id, "READY")
    client.log_outputs(run.run_id, [LoggedModelOutput(model.model_id, step)])
    _store_once(weights, model.artifact_location)
    return str(model.model_id)


def logged_checkpoints(run: TrackedRun) -> dict[int, str]:
    """The run's checkpoints as model ids by step. One that was being logged when its process died is deleted."""
    found: dict[int, str] = {}
    for model in run.store.client.search_logged_models(
        [run.experiment_id], filter_string=f"source_run_id = '{run.run_id}'", max_results=1000
    ):
        if str(model.status) == "READY":
            found[int(model.tags["step"])] = model.model_id
        else:
            drop_checkpoint(run, model.model_id)
    return found


def drop_checkpoint(run: TrackedRun, model_id: str) -> None:
    """Delete a checkpoint and its files."""
    location = run.store.client.get_logged_model(model_id).artifact_location
    get_artifact_repository(location).delete_artifacts()  # type: ignore[no-untyped-call]
    run.store.client.delete_logged_model(model_id)


def checkpoint_folder(store: Store, model_id: str, cache: Path = MLRUNS / "cache") -> Path:
    """A local folder with the checkpoint's files: the store's own where it is local (not to be changed)."""
    location = store.client.get_logged_model(model_id).artifact_location
    local = _local_path(location)
    if local is not None:
        return local
    target = cache / "checkpoints" / model_id
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".download-", dir=target.parent) as building:
            fetched = download_artifacts(artifact_uri=location, dst_path=building, tracking_uri=store.uri)
            Path(fetched).rename(target)
    return target


def _store_once(weights: Path, location: str) -> None:
    folder = _local_path(location)
    if folder is None:
        return
    temporary = weights.with_name(f".{weights.name}")
    try:
        os.link(folder / "adapters.safetensors", temporary)
    except OSError:  # another file system: two copies, then
        return
    temporary.replace(weights)


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _local_path(location: str) -> Path | None:
    if urlsplit(location).scheme in ("", "file"):
        return Path(local_file_uri_to_path(location))  # type: ignore[no-untyped-call]
    return None
