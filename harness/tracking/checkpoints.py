"""Checkpoints as MLflow LoggedModels: the adapter's files and its own scores, each stored once."""

import math
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from mlflow.artifacts import download_artifacts
from mlflow.entities import LoggedModelOutput, Metric
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.utils.file_utils import local_file_uri_to_path

from harness.config.paths import MLRUNS
from harness.errors import DamagedError
from harness.files import digest_of
from harness.tracking.store import Store

DIGEST = "sha256"  # of the weights as they were logged, as a tag
MODEL_TYPE = "lora-adapter"


def log_checkpoint(
    store: Store,
    run_id: str,
    experiment_id: str,
    weights: Path,
    *,
    configs: Sequence[Path],
    staging: Path,
    step: int,
    time: int,
    scores: Mapping[str, float],
    dataset: tuple[str, str],
    params: Mapping[str, str],
    tags: Mapping[str, str],
) -> str:
    """Log one adapter as a model that stock mlx-lm can load; returns the model's id.

    `configs` are small files to go with it: adapter_config.json, and what else says how it came about.
    `staging` is a folder that may be made and removed. `time`: milliseconds since the epoch. `dataset` is the
    name and digest of the split that was scored. Where the artifact store is a local folder, `weights` becomes
    a hard link into it, so that the bytes lie on disk once. Once logged, it is not logged again.
    """
    former = find_checkpoint(store, run_id, experiment_id, step)
    if former is not None:
        return former
    client = store.client
    model = client.create_logged_model(
        experiment_id,
        name=_name(step),
        source_run_id=run_id,
        tags={**tags, "step": str(step), DIGEST: digest_of(weights)},
        params=dict(params),
        model_type=MODEL_TYPE,
    )
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir()
    try:
        _link(weights, staging / "adapters.safetensors")
        for config in configs:
            shutil.copyfile(config, staging / config.name)
        client.log_model_artifacts(model.model_id, str(staging))
        _store_once(weights, model.artifact_location, staging / "stored")
    finally:
        shutil.rmtree(staging)
    name, digest = dataset
    client.log_batch(
        run_id,
        metrics=[
            Metric(key, value, time, step, model_id=model.model_id, dataset_name=name, dataset_digest=digest)
            for key, value in scores.items()
            if math.isfinite(value)  # MLflow would keep a NaN as 0 here: the best of all losses
        ],
    )
    client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step)])
    client.finalize_logged_model(model.model_id, "READY")
    return str(model.model_id)


def log_strangers(store: Store, experiment_id: str, weights: Path, *, configs: Sequence[Path]) -> str:
    """Log an adapter that no run of this store trained, copied; returns the model's id."""
    client = store.client
    tags = {DIGEST: digest_of(weights)}
    model = client.create_logged_model(experiment_id, name="adapter", tags=tags, model_type=MODEL_TYPE)
    with tempfile.TemporaryDirectory() as staging:
        shutil.copyfile(weights, Path(staging) / "adapters.safetensors")
        for config in configs:
            shutil.copyfile(config, Path(staging) / config.name)
        client.log_model_artifacts(model.model_id, staging)
    client.finalize_logged_model(model.model_id, "READY")
    return str(model.model_id)


def find_checkpoint(store: Store, run_id: str, experiment_id: str, step: int) -> str | None:
    """The id of a run's checkpoint. What was left of one whose logging was cut short is deleted."""
    found = None
    where = f"source_run_id = '{run_id}' and name = '{_name(step)}'"
    for model in store.client.search_logged_models([experiment_id], filter_string=where):
        if str(model.status) == "READY":
            found = str(model.model_id)
        else:
            drop_checkpoint(store, model.model_id)
    return found


def drop_checkpoint(store: Store, model_id: str) -> None:
    """Delete a checkpoint and its files."""
    location = store.client.get_logged_model(model_id).artifact_location
    get_artifact_repository(location, tracking_uri=store.uri).delete_artifacts()  # type: ignore[no-untyped-call]
    store.client.delete_logged_model(model_id)


def checkpoint_folder(store: Store, model_id: str, cache: Path = MLRUNS / "cache") -> Path:
    """A local folder with the checkpoint's files: the store's own where it is local (not to be changed).

    Raises:
        DamagedError: when the weights are not those that were logged.
    """
    model = store.client.get_logged_model(model_id)
    folder = _local_path(model.artifact_location) or _fetched(store, model_id, model.artifact_location, cache)
    logged = model.tags.get(DIGEST)  # former versions kept none
    weights = folder / "adapters.safetensors"
    if logged is not None and weights.exists() and digest_of(weights) != logged:
        step = f"put back a copy of it, or choose another checkpoint of run {model.source_run_id}"
        raise DamagedError(weights, "does not hold the weights that were logged", step)
    return folder


def _fetched(store: Store, model_id: str, location: str, cache: Path) -> Path:
    target = cache / "checkpoints" / model_id
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".download-", dir=target.parent) as building:
            fetched = download_artifacts(artifact_uri=location, dst_path=building, tracking_uri=store.uri)
            Path(fetched).rename(target)
    return target


def _name(step: int) -> str:
    return f"step-{step:07d}"


def _store_once(weights: Path, location: str, temporary: Path) -> None:
    folder = _local_path(location)
    if folder is None:
        return
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
