"""Which checkpoint is the best, and the registry that gives it a name.

Adapter references are resolved here: runs:/<id> is a run's best checkpoint, models:/… a registered one.
"""

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path

from mlflow.entities import LoggedModel
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_MODEL_VERSIONS

from harness.errors import HarnessError
from harness.tracking.checkpoints import checkpoint_folder
from harness.tracking.store import Store, use_globally

OBJECTIVE = "valid/loss"
_NAME = re.compile(r"^[^/:.\\]{1,200}$")
_MODEL_ID = re.compile(r"m-[0-9a-f]{32}")
_RESERVED_ALIAS = re.compile(r"^(latest|v\d+)$", re.IGNORECASE)
_PAGE = 200


@dataclass(frozen=True)
class Checkpoint:
    """A saved adapter with the score of exactly its weights, on the split with `digest`."""

    model_id: str
    run_id: str
    step: int
    metric: str
    value: float
    digest: str
    tags: dict[str, str]
    params: dict[str, str]


@dataclass(frozen=True)
class Candidates:
    """Best first. `elsewhere`: how many were left out, being scored on other validation data than the newest."""

    best: list[Checkpoint]
    elsewhere: int


@dataclass(frozen=True)
class Version:
    name: str
    number: int
    model_id: str
    new: bool


def checkpoints(
    store: Store,
    experiment_ids: list[str],
    where: str | None,
    *,
    metric: str = OBJECTIVE,
    maximize: bool = False,
) -> Candidates:
    """Checkpoints that have the metric, best first; `where` is an MLflow filter.

    Only those that were scored on the same data can be compared: that of the newest.
    """
    found: list[Checkpoint] = []
    token = None
    while True:
        page = store.client.search_logged_models(
            experiment_ids,
            filter_string=where,
            max_results=_PAGE,
            order_by=[{"field_name": "creation_timestamp", "ascending": False}],
            page_token=token,
        )
        found += [point for model in page if (point := _checkpoint(model, metric)) is not None]
        token = page.token
        if not token:
            break
    same = [point for point in found if point.digest == found[0].digest]
    same.sort(key=lambda point: (-point.value if maximize else point.value, point.step))
    return Candidates(same, len(found) - len(same))


def of_run(run_id: str) -> str:
    """The filter for one run's checkpoints."""
    return f"source_run_id = '{_identifier(run_id)}'"


def of_sweep(sweep_id: str) -> str:
    """The filter for the checkpoints of a sweep's trials."""
    return f"tags.sweep = '{_identifier(sweep_id)}'"


def register(store: Store, checkpoint: Checkpoint, name: str) -> Version:
    """Make the checkpoint a model version, or find the one that it already is. Nothing is copied.

    Raises:
        HarnessError: for a name that MLflow does not take.
    """
    if not _NAME.match(name):
        raise HarnessError(f"--name must be 1 to 200 characters without / : . and \\, but got {name}")
    client = store.client
    use_globally(store.uri)
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    for version in client.search_model_versions(f"name = '{_quoted(name)}'"):
        if _model_id(version) == checkpoint.model_id:
            return Version(name, int(version.version), checkpoint.model_id, new=False)
    score = f"{checkpoint.metric} {checkpoint.value:.4f}"
    version = client.create_model_version(
        name,
        source=f"models:/{checkpoint.model_id}",
        run_id=checkpoint.run_id,
        model_id=checkpoint.model_id,
        tags=checkpoint.tags | {checkpoint.metric: f"{checkpoint.value:.6g}", "checkpoint_step": str(checkpoint.step)},
        description=f"{score} after {checkpoint.step} updates of run {checkpoint.run_id}",
    )
    number = int(version.version)
    _link_versions(store, checkpoint.model_id, name, number)
    return Version(name, number, checkpoint.model_id, new=True)


def set_alias(store: Store, name: str, alias: str, number: int) -> int | None:
    """Point the alias at a version; returns the version it pointed at before.

    Raises:
        HarnessError: when there is no such model or version, or MLflow keeps the alias for itself.
    """
    if _RESERVED_ALIAS.match(alias):
        raise HarnessError(f"--alias={alias} is one that MLflow keeps for itself; choose another, such as champion")
    before = alias_version(store, name, alias)
    try:
        store.client.get_model_version(name, str(number))
    except MlflowException as error:
        versions = sorted(int(v.version) for v in store.client.search_model_versions(f"name = '{_quoted(name)}'"))
        raise HarnessError(
            f"{name} has no version {number}; it has {', '.join(map(str, versions)) or 'none'}"
        ) from error
    store.client.set_registered_model_alias(name, alias, str(number))
    return before


def alias_version(store: Store, name: str, alias: str) -> int | None:
    try:
        return int(store.client.get_model_version_by_alias(name, alias).version)
    except MlflowException:
        return None


def promoted_steps(store: Store, run_id: str) -> set[int] | None:
    """The updates of a run's checkpoints that are model versions; None when the store does not say."""
    try:
        versions = store.client.search_model_versions(f"run_id = '{_identifier(run_id)}'")
        models = [model_id for version in versions if (model_id := _model_id(version)) is not None]
        return {int(store.client.get_logged_model(model_id).tags["step"]) for model_id in models}
    except MlflowException:
        return None


def resolve(store: Store, reference: str) -> Path:
    """The folder that runs:/<id>, models:/name@alias, models:/name/3 or models:/<model id> means.

    Raises:
        HarnessError: when there is no such run, version or alias, with what there is.
    """
    scheme, _, rest = reference.partition(":/")
    rest = rest.strip("/")
    try:
        if scheme == "runs":
            return checkpoint_folder(store, _best_of_run(store, rest).model_id)
        if _MODEL_ID.fullmatch(rest):
            return checkpoint_folder(store, rest)
        name, at, alias = rest.partition("@")
        if at:
            version = store.client.get_model_version_by_alias(name, alias)
        else:
            name, _, number = rest.partition("/")
            version = store.client.get_model_version(name, number)
    except MlflowException as error:
        raise HarnessError(
            f"adapter {reference} is not in {store.uri}: {_one_line(error)}{_what_there_is(store)}"
        ) from error
    model_id = _model_id(version)
    if model_id is None:
        raise HarnessError(
            f"adapter {reference} was not registered from a checkpoint; promote one with harness.promote"
        )
    return checkpoint_folder(store, model_id)


def best_of_trials(store: Store, sweep_id: str, experiment_id: str, top: int) -> list[Checkpoint]:
    """The best checkpoint of each of a sweep's best trials."""
    found: dict[str, Checkpoint] = {}
    for point in checkpoints(store, [experiment_id], of_sweep(sweep_id)).best:
        found.setdefault(point.run_id, point)
    return list(found.values())[:top]


def run_checkpoints(store: Store, run_id: str) -> list[Checkpoint]:
    """All of a run's checkpoints, in the order of their updates.

    Raises:
        HarnessError: when there is no such run.
    """
    try:
        experiment_id = store.client.get_run(_identifier(run_id)).info.experiment_id
    except MlflowException as error:
        raise HarnessError(f"adapter runs:/{run_id} is not in {store.uri}: {_one_line(error)}") from error
    return sorted(checkpoints(store, [experiment_id], of_run(run_id)).best, key=lambda point: point.step)


def _best_of_run(store: Store, run_id: str) -> Checkpoint:
    run = store.client.get_run(run_id)
    found = checkpoints(store, [run.info.experiment_id], of_run(run_id)).best
    if not found:
        raise HarnessError(f"adapter runs:/{run_id} has no checkpoint; its status is {run.info.status}")
    return found[0]


def _checkpoint(model: LoggedModel, metric: str) -> Checkpoint | None:
    for point in model.metrics or []:
        if point.key == metric and math.isfinite(point.value) and str(model.status) == "READY":
            step = int(model.tags.get("step", point.step))
            tags = {key: value for key, value in model.tags.items() if not key.startswith("mlflow.")}
            return Checkpoint(
                model.model_id,
                str(model.source_run_id),
                step,
                metric,
                point.value,
                str(point.dataset_digest),
                tags,
                dict(model.params or {}),
            )
    return None


def _model_id(version: ModelVersion) -> str | None:
    """The checkpoint that a version was made from. The SQL store keeps it in the source only."""
    scheme, _, model_id = (version.source or "").partition(":/")
    return model_id if scheme == "models" and _MODEL_ID.fullmatch(model_id) else None


def _link_versions(store: Store, model_id: str, name: str, number: int) -> None:
    """The tag by which MLflow's page shows a checkpoint's registered versions."""
    present = store.client.get_logged_model(model_id).tags.get(MLFLOW_MODEL_VERSIONS)
    versions = [*(json.loads(present) if present else []), {"name": name, "version": number}]
    store.client.set_logged_model_tags(model_id, {MLFLOW_MODEL_VERSIONS: json.dumps(versions)})


def _what_there_is(store: Store) -> str:
    names = [f"{model.name}@{alias}" for model in store.client.search_registered_models() for alias in model.aliases]
    return f"; there is {', '.join(names)}" if names else "; nothing is promoted yet (python -m harness.promote)"


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _identifier(text: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{32}", text):
        raise HarnessError(f"a run's id has 32 hex digits, but got {text}; the MLflow page and harness.runs show it")
    return text


def _quoted(text: str) -> str:
    return text.replace("'", "\\'")
