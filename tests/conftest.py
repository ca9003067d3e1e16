"""What the tests share: the tiny base, a small dataset, one tracking store for the session."""

import dataclasses
import gc
import os
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from harness.machine import blas

# Here and in all that tests start: products of small models gain nothing by more, and where more threads than cores
# want to run, OpenBLAS's spin while they wait for one another: three times the CPU
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
blas.load()  # before anything imports mlx

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from harness.config.load import from_hydra
from harness.config.overrides import prepare
from harness.config.paths import CONF, ROOT
from harness.config.schema import Config, ModelConfig, TrackingConfig
from harness.config.vary import Varied
from harness.data.dataset import Split, load_split
from harness.models.adapter import spec_for
from harness.models.adapter_files import AdapterSpec
from harness.models.base import Base, open_base
from harness.tracking.runs import TrackedRun
from harness.tracking.store import Store, open_store
from tests.turns import turn

# a run of seconds: short rows, few updates
QUICK = [
    "train.iters=6",
    "model=tiny",  # what these runs write need make no sense; test_sense.py has those that do
    "train.batch_size=2",
    "train.max_seq_length=96",
    "train.learning_rate=5e-3",
    "train.steps_per_report=2",
    "train.steps_per_eval=3",
    "train.save_every=3",
    "train.valid_rows=4",
    "generate.prompts=[河]",
    "generate.max_tokens=4",
    "sweep.report=false",
    "lora.num_layers=2",
]


def compose_config(*overrides: str, command: type[Any] = Config, config_name: str = "config") -> Any:
    """What the command line would give."""
    return from_hydra(_varied(config_name)(prepare(overrides, command)), command)


@cache
def _varied(config_name: str) -> Varied:
    def composed(words: list[str]) -> DictConfig:
        with initialize_config_dir(str(CONF), version_base="1.3"):
            return compose(config_name, words)

    return Varied(composed)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whole commands first: their files take longest, and beside the last of them no process is to be idle."""
    long = (ROOT / "tests" / "pipeline", ROOT / "tests" / "faults")
    items.sort(key=lambda item: item.path.parent not in long)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """With several processes (pytest -n), what is marked `alone` has no neighbours."""
    assert item.config.cache is not None
    with turn(item.config.cache.mkdir("turns"), alone=item.get_closest_marker("alone") is not None):
        return (yield)


@pytest.fixture(scope="module", autouse=True)
def _nothing_of_other_modules() -> None:
    """Their runs and sessions are let go of; what all modules share is spared later collections."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def quick_config() -> Callable[..., Config]:
    return lambda *overrides: compose_config(*QUICK, *overrides)


@pytest.fixture(scope="session")
def base() -> Base:
    return open_base(ModelConfig(path="builtin:tiny", revision=None))


@pytest.fixture(scope="session")
def poems() -> Path:
    return ROOT / "data"


@pytest.fixture(scope="session")
def splits(base: Base, poems: Path) -> tuple[Split, Split]:
    """Ten rows to train on and four to validate, cut to 96 tokens."""

    def load(name: str, rows: int) -> Split:
        split = load_split(poems, name, base.tokenizer, labels=None, max_seq_length=96, mask_prompt=True)
        return dataclasses.replace(split, rows=split.rows[:rows])

    return load("train", 10), load("valid", 4)


@pytest.fixture(scope="session")
def make_spec(base: Base) -> Callable[..., AdapterSpec]:
    """A spec for the last two blocks of the tiny base."""

    def make(**values: Any) -> AdapterSpec:
        lora = compose_config("lora.num_layers=2", "lora.rank=4").lora
        return spec_for(dataclasses.replace(lora, **values), base.model, base=base.path, base_revision=base.revision)

    return make


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A database of its own, made once: that takes seconds. Tests use experiments of their own."""
    home = tmp_path_factory.mktemp("store")
    opened = open_store(TrackingConfig(uri=f"sqlite:///{home / 'mlflow.db'}"))
    gc.collect()
    gc.freeze()  # what opening it has imported, as every command does
    return opened


@pytest.fixture
def write_lines(tmp_path: Path) -> Callable[[str, Sequence[str]], Path]:
    def write(name: str, lines: Sequence[str]) -> Path:
        path = tmp_path / name
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    return write


@pytest.fixture
def begin(store: Store) -> Iterator[Callable[..., TrackedRun]]:
    """Starts runs in an experiment, each this process's until the test ends."""
    with ExitStack() as stack:

        def start(experiment: str, **tags: str) -> TrackedRun:
            started = TrackedRun.start(store, experiment, name="r", tags={"kind": "run"} | tags)
            return stack.enter_context(started)

        yield start
