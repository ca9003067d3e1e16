"""The registry, which gives a checkpoint a name.

Adapter references are resolved here: runs:/<id> is a run's best checkpoint, models:/… a registered one.
"""

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_MODEL_VERSIONS

from harness.errors import HarnessError
from harness.files import make_folder, one_at_a_time
from harness.tracking.candidates import Checkpoint, best_of_run, identifier
from harness.tracking.checkpoints import checkpoint_folder
from harness.tracking.pyfunc_flavor import make_loadable
from harness.tracking.store import Store, use_globally
from harness.tracking.versions import MODEL_ID, quoted, version_model, versions_of

_NAME = re.compile(r"^[^/:.\\]{1,200}$")
_ATTEMPTS, _PAUSE_SECONDS = 4, 0.2
# what MLflow says of a constraint of its database that was broken, or a database that is busy
_CONFLICTS = ("BAD_REQUEST", "RESOURCE_ALREADY_EXISTS", "RESOURCE_CONFLICT", "TEMPORARILY_UNAVAILABLE")
_ALIAS = re.compile(r"^[\w-]{1,200}$")
_NOTHING: Mapping[str, str] = {}
_RESERVED_ALIAS = re.compile(r"^(latest|v\d+)$", re.IGNORECASE)


Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True)
class Version:
    name: str
    number: int
    model_id: str
    new: bool


@contextmanager
def one_promotion(store: Store) -> Iterator[None]:
    """Inside, no other process of this machine registers or sets an alias in this store."""
    make_folder(store.folder)
    with one_at_a_time(store.folder / ".promotion.lock"):
        yield


def check_name(name: str) -> None:
    """Raises: HarnessError for a registered model's name that MLflow does not take."""
    if not _NAME.match(name):
        raise HarnessError(f"--name must be 1 to 200 characters without / : . and \\, but got {name}")


def check_alias(alias: str) -> None:
    """Raises: HarnessError for an alias that MLflow does not take, or keeps for itself."""
    if _RESERVED_ALIAS.match(alias):
        raise HarnessError(f"--alias={alias} is one that MLflow keeps for itself; choose another, such as champion")
    if not _ALIAS.match(alias):
        raise HarnessError(f"--alias must be letters, digits, _ and -, but got {alias}; choose another")


def register(
    store: Store,
    checkpoint: Checkpoint,
    name: str,
    *,
    tags: Mapping[str, str] = _NOTHING,
    page: str | None = None,
) -> Version:
    """Make the checkpoint a model version, or find the one that it already is. Nothing is copied.

    `tags`, `page`: what it, or the one that is there, says of itself; the page is its description, Markdown.

    Raises:
        HarnessError: for a name that MLflow does not take.
    """
    check_name(name)
    client = store.client
    use_globally(store.uri)
    own = checkpoint.tags | {"checkpoint_step": str(checkpoint.step)}
    if checkpoint.metric:
        own[checkpoint.metric] = f"{checkpoint.value:.6g}"
    make_loadable(store, checkpoint.model_id)
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    for version in client.search_model_versions(f"name = '{quoted(name)}'"):
        if version_model(version) == checkpoint.model_id:
            _say_of(store, name, str(version.version), tags, page)
            return Version(name=name, number=int(version.version), model_id=checkpoint.model_id, new=False)
    version = _in_turn(
        lambda: client.create_model_version(
            name,
            source=f"models:/{checkpoint.model_id}",
            run_id=checkpoint.run_id or None,
            model_id=checkpoint.model_id,
            tags=own | dict(tags),
            description=page or _described(checkpoint),
        )
    )
    number = int(version.version)
    _link_versions(store, checkpoint.model_id, name, number)
    return Version(name=name, number=number, model_id=checkpoint.model_id, new=True)


def set_alias(store: Store, name: str, alias: str, number: int) -> int | None:
    """Point the alias at a version; returns the version it pointed at before.

    Raises:
        HarnessError: when there is no such model or version, or MLflow keeps the alias for itself.
    """
    check_alias(alias)
    before = alias_version(store, name, alias)
    check_version(store, name, number)
    if (model_id := version_model(store.client.get_model_version(name, str(number)))) is not None:
        make_loadable(store, model_id)
    _in_turn(lambda: store.client.set_registered_model_alias(name, alias, str(number)))
    return before


def check_version(store: Store, name: str, number: int) -> None:
    """Raises: HarnessError when there is no such model or version, with what there is."""
    try:
        store.client.get_model_version(name, str(number))
    except MlflowException as error:
        versions = [str(version.number) for version in versions_of(store, name)]
        raise HarnessError(f"{name} has no version {number}; it has {', '.join(versions) or 'none'}") from error


def alias_version(store: Store, name: str, alias: str) -> int | None:
    try:
        return int(store.client.get_model_version_by_alias(name, alias).version)
    except MlflowException:
        return None


def promoted_steps(store: Store, run_id: str) -> set[int] | None:
    """The updates of a run's checkpoints that are model versions; None when the store does not say."""
    try:
        models = promoted_models(store, run_id)
        return {int(store.client.get_logged_model(model_id).tags["step"]) for model_id in models}
    except MlflowException:
        return None


def promoted_models(store: Store, run_id: str) -> set[str]:
    """The ids of a run's checkpoints that are model versions.

    Raises:
        MlflowException: when the store does not say.
    """
    versions = store.client.search_model_versions(f"run_id = '{identifier(run_id)}'")
    return {model_id for version in versions if (model_id := version_model(version)) is not None}


def resolve(store: Store, reference: str) -> Path:
    """The folder that runs:/<id>, models:/name@alias, models:/name/3 or models:/<model id> means.

    Raises:
        HarnessError: when there is no such run, version or alias, with what there is.
    """
    scheme, _, rest = reference.partition(":/")
    rest = rest.strip("/")
    with _missing_said(store, reference):
        if scheme == "runs":
            return checkpoint_folder(store, best_of_run(store, rest).model_id)
        if MODEL_ID.fullmatch(rest):
            return checkpoint_folder(store, rest)
    model_id = version_model(find_version(store, reference))
    if model_id is None:
        raise HarnessError(
            f"adapter {reference} was not registered from a checkpoint; promote one with harness.promote"
        )
    with _missing_said(store, reference):
        return checkpoint_folder(store, model_id)


def find_version(store: Store, reference: str) -> ModelVersion:
    """The version that models:/name@alias or models:/name/3 means.

    Raises:
        HarnessError: when there is none, with what there is.
    """
    rest = reference.partition(":/")[2].strip("/")
    name, at, alias = rest.partition("@")
    with _missing_said(store, reference):
        if at:
            return store.client.get_model_version_by_alias(name, alias)
        name, _, number = rest.partition("/")
        if not number.isdecimal():
            raise HarnessError(f"adapter {reference} must name a version: models:/{name}@champion, or models:/{name}/1")
        return store.client.get_model_version(name, number)


@contextmanager
def _missing_said(store: Store, reference: str) -> Iterator[None]:
    try:
        yield
    except MlflowException as error:
        raise HarnessError(
            f"adapter {reference} is not in {store.uri}: {_one_line(error)}{_what_there_is(store)}"
        ) from error


def _in_turn(write: Callable[[], Result]) -> Result:
    """Again where another machine wrote the same rows at the same moment; both are then there, one after the other."""
    for attempt in range(1, _ATTEMPTS):
        try:
            return write()
        except MlflowException as error:
            if error.error_code not in _CONFLICTS:
                raise
            time.sleep(_PAUSE_SECONDS * attempt)
    return write()


def _link_versions(store: Store, model_id: str, name: str, number: int) -> None:
    """The tag by which MLflow's page shows a checkpoint's registered versions."""
    present = store.client.get_logged_model(model_id).tags.get(MLFLOW_MODEL_VERSIONS)
    versions = [*(json.loads(present) if present else []), {"name": name, "version": number}]
    store.client.set_logged_model_tags(model_id, {MLFLOW_MODEL_VERSIONS: json.dumps(versions)})


def _described(checkpoint: Checkpoint) -> str:
    score = f"{checkpoint.metric} {checkpoint.value:.4f}"
    return f"{score} after {checkpoint.step} updates of run {checkpoint.run_id}"


def _say_of(store: Store, name: str, number: str, tags: Mapping[str, str], page: str | None) -> None:
    """What was said by tags of the same families, which end at the first point, is said no more."""
    families = {key.partition(".")[0] for key in tags}
    for key in store.client.get_model_version(name, number).tags:
        if key not in tags and key.partition(".")[0] in families:
            store.client.delete_model_version_tag(name, number, key)
    for key, value in tags.items():
        store.client.set_model_version_tag(name, number, key, value)
    if page is not None:
        store.client.update_model_version(name, number, page)


def _what_there_is(store: Store) -> str:
    names = [f"{model.name}@{alias}" for model in store.client.search_registered_models() for alias in model.aliases]
    return f"; there is {', '.join(names)}" if names else "; nothing is promoted yet (python -m harness.promote)"


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
