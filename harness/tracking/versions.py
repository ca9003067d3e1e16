"""What is in the registry: registered models, their versions and aliases. Changes nothing."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from harness.tracking.store import Store

MODEL_ID = re.compile(r"m-[0-9a-f]{32}")


@dataclass(frozen=True, kw_only=True)
class Registered:
    """A version as it is in the registry. `model_id`, `run_id`: of the checkpoint that it was made from, if it was."""

    name: str
    number: int
    model_id: str | None
    run_id: str | None
    tags: Mapping[str, str]
    page: str


def versions_of(store: Store, name: str) -> list[Registered]:
    """The oldest first; none where there is no such model."""
    found = store.client.search_model_versions(f"name = '{quoted(name)}'")
    versions = [
        Registered(
            name=name,
            number=int(each.version),
            model_id=version_model(each),
            run_id=each.run_id or None,
            tags=dict(each.tags or {}),
            page=each.description or "",
        )
        for each in found
    ]
    return sorted(versions, key=lambda version: version.number)


def model_names(store: Store) -> list[str]:
    """Of all registered models."""
    return [str(model.name) for model in store.client.search_registered_models()]


def aliases_of(store: Store, name: str) -> dict[str, int]:
    """Each alias with the version that it points at; none where there is no such model."""
    try:
        model = store.client.get_registered_model(name)
    except MlflowException:
        return {}
    return {alias: int(number) for alias, number in model.aliases.items()}


def version_model(version: ModelVersion) -> str | None:
    """The checkpoint that a version was made from. The SQL store keeps it in the source only."""
    scheme, _, model_id = (version.source or "").partition(":/")
    return model_id if scheme == "models" and MODEL_ID.fullmatch(model_id) else None


def quoted(text: str) -> str:
    return text.replace("'", "\\'")
