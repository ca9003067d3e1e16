"""What the version before left in a folder is read, gone on with, promoted and written with."""

import sqlite3
import tarfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.config.read_axes import read_space
from harness.config.schema import Config, GenerateCommand, TrackingConfig
from harness.console.progress import Display
from harness.multirun.sweep import run_sweep
from harness.releasing.choice import Choice
from harness.releasing.promotion import promote
from harness.run.context import RunPlace
from harness.run.pipeline import train_run
from harness.run.session import open_session
from harness.sampling.samples import read_samples
from harness.tracking import queries
from harness.tracking.registry import alias_version
from harness.tracking.store import Store, open_store
from harness.writing.grid import lay_out, write_all
from tests.conftest import compose_config
from tests.fixtures.before.make import HOME, QUICK, relocated
from tests.releasing.gates import forced

ARCHIVE = Path(__file__).parents[1] / "fixtures" / "before" / "before.tar.xz"


@dataclass(frozen=True)
class Before:
    """The folder, and its runs by what they are."""

    home: Path
    store: Store
    whole: str
    interrupted: str
    sweep: str
    trials: Sequence[str]


def _unpack(home: Path) -> None:
    """Every file with this folder's path where the archive has what stands for it."""
    with tarfile.open(ARCHIVE) as tar:
        tar.extractall(home, filter="data")
    for path in home.rglob("*"):
        if path.is_file() and not path.is_symlink() and HOME.encode() in path.read_bytes():
            path.write_bytes(relocated(path, HOME, str(home)))  # a hard link stays one
    _unpadded(home / "base" / "model.safetensors")
    with sqlite3.connect(home / "mlflow.db") as connection:
        connection.executescript((home / "mlflow.sql").read_text("utf-8"))
    connection.close()


def _unpadded(weights: Path) -> None:
    """The archive's header has spaces at its end that the base of then had not: it was known by its header."""
    content = weights.read_bytes()
    end = 8 + int.from_bytes(content[:8], "little")
    header = content[8:end].rstrip()
    weights.write_bytes(len(header).to_bytes(8, "little") + header + content[end:])


@pytest.fixture
def before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Before:
    _unpack(tmp_path)
    monkeypatch.chdir(tmp_path)  # its model and data were given by paths from here
    store = open_store(TrackingConfig(uri=f"sqlite:///{tmp_path}/mlflow.db"))
    runs = store.client.search_runs([store.experiment_id("before")], order_by=["attributes.start_time"])
    kinds = {kind: [run.info.run_id for run in runs if run.data.tags["kind"] == kind] for kind in ("run", "trial")}
    interrupted, whole = kinds["run"]
    (sweep,) = (run.info.run_id for run in runs if run.data.tags["kind"] == "sweep")
    return Before(tmp_path, store, whole, interrupted, sweep, kinds["trial"])


def _config(before: Before, *words: str) -> Config:
    config = compose_config(*QUICK, "name=before", f"tracking.uri={before.store.uri}", *words)
    assert isinstance(config, Config)
    return config


def _points(store: Store, run_id: str) -> dict[str, list[int]]:
    names = store.client.get_run(run_id).data.metrics
    return {name: [point.step for point in store.client.get_metric_history(run_id, name)] for name in names}


def test_its_runs_are_listed_with_their_states(before: Before) -> None:
    sweep = queries.newest_sweep(before.store)
    assert sweep.run_id == before.sweep
    assert [(run.name, run.status) for run in queries.trials(before.store, sweep)] == [
        ("rank=1", "FINISHED"),
        ("rank=3", "KILLED"),
    ]
    assert queries.get(before.store, before.whole).metrics["valid/best_loss"] > 0


def test_its_interrupted_run_is_gone_on_with(before: Before) -> None:
    session = open_session(TrackingConfig(uri=before.store.uri), Display())
    done = train_run(_config(before, f"train.resume={before.interrupted}"), session, RunPlace())
    assert done.run_id == before.interrupted and done.outcome.updates == 6
    points = _points(before.store, done.run_id)
    assert points["train/loss"] == [2, 4, 6] and points["valid/loss"] == [0, 3, 6]
    twice = {name: steps for name, steps in points.items() if len(steps) > len(set(steps))}
    assert twice == {}, "each point once"
    models = before.store.client.search_logged_models(
        [before.store.experiment_id("before")], filter_string=f"source_run_id = '{done.run_id}'"
    )
    assert len(models) == 2
    for model in models:
        names = Counter((point.key, point.step) for point in model.metrics or [])
        assert max(names.values()) == 1, names


def test_its_sweep_is_gone_on_with_and_stays_the_same(before: Before) -> None:
    def compose(overrides: Sequence[str]) -> Config:
        return _config(before, *overrides)

    done = run_sweep(read_space({}, ["lora.rank=1,3"]), compose, Display())
    assert done.sweep_id == before.sweep
    assert [result.failure for result in done.results] == [None, None]
    assert {result.run_id for result in done.results} == set(before.trials), "no trial was begun anew"
    assert queries.get(before.store, before.sweep).status == "FINISHED"


def test_its_runs_are_promoted(before: Before, capsys: pytest.CaptureFixture[str]) -> None:
    tracking = TrackingConfig(uri=before.store.uri)
    promote(tracking, Choice(sweep=before.sweep), forced(), name="before", alias="champion")
    said = capsys.readouterr().out
    assert f"in sweep {before.sweep}: valid/loss" in said and "back with:" in said
    assert alias_version(before.store, "before", "champion") == 2


def test_its_champion_writes_and_its_samples_are_read(before: Before) -> None:
    there = read_samples(before.home / "samples.jsonl")
    assert [entry.theme for entry in there] == ["雨", "雨"]
    words = ["adapters=models:/before@champion", "theme=雨", "generate.max_tokens=8", "n=2"]
    command = compose_config(
        *words, f"tracking.uri={before.store.uri}", command=GenerateCommand, config_name="generate"
    )
    written = list(write_all(lay_out(command, [1.0]), command, Display()))
    assert [entry.text for entry in written] == [entry.text for entry in there], "the same adapter, the same texts"
