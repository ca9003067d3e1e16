"""One endpoint for all tests here: a champion, a folder at a scale of its own, and the bare base."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from harness.config.schema import TrackingConfig
from harness.models.adapter_files import AdapterSpec
from harness.models.base import Base
from harness.tracking.store import Store
from tests.serving.served import SERVING, Served, promote, served, write_adapter


@pytest.fixture(scope="session")
def essay(base: Base, make_spec: Callable[..., AdapterSpec], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_adapter(tmp_path_factory.mktemp("served") / "essay", base, make_spec(rank=2), 11, step="5")


@pytest.fixture(scope="session")
def running(base: Base, make_spec: Callable[..., AdapterSpec], store: Store, essay: Path) -> Iterator[Served]:
    promote(store, "ode", base, make_spec(), 1)
    models = ["models:/ode@champion", f"essay={essay}=0.5", "none"]
    with served(replace(SERVING, models=models, tracking=TrackingConfig(uri=store.uri))) as here:
        yield here
