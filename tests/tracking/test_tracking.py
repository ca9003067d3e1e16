"""Runs, checkpoints and the registry, against a real SQLite store."""

import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import mlx.core as mx
import pytest

from harness.config.schema import TrackingConfig
from harness.errors import HarnessError
from harness.files import write_json
from harness.models.adapter import save_weights
from harness.tracking.checkpoints import checkpoint_folder, drop_checkpoint, log_checkpoint
from harness.tracking.overview import newest, page_links, save_view, trials
from harness.tracking.registry import alias_version, checkpoints, of_run, of_sweep, register, resolve, set_alias
from harness.tracking.runs import TrackedRun
from harness.tracking.store import Store, open_store


def _run(store: Store, experiment: str, **tags: str) -> TrackedRun:
    return TrackedRun.start(store, store.experiment_id(experiment), name="r", tags={"kind": "run"} | tags)


def _checkpoint(run: TrackedRun, folder: Path, step: int, loss: float, *, digest: str = "d1", sweep: str = "") -> str:
    weights = folder / f"{step:07d}_adapters.safetensors"
    save_weights(weights, {"a": mx.full((4,), loss)}, {"step": str(step)})
    write_json(folder / "adapter_config.json", {})
    return log_checkpoint(
        run,
        weights,
        configs=[folder / "adapter_config.json"],
        step=step,
        scores={"valid/loss": loss},
        dataset=("valid", digest),
        params={"lora.rank": 8},
        tags={"base": "builtin:tiny"} | ({"sweep": sweep} if sweep else {}),
    )


def test_processes_that_start_at_once_on_a_missing_database_all_succeed(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'new' / 'mlflow.db'}"
    code = (
        "from harness.config.schema import TrackingConfig; from harness.tracking.store import open_store;"
        f"open_store(TrackingConfig(uri={uri!r})).experiment_id('same')"
    )
    processes = [subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path) for _ in range(3)]
    assert [process.wait() for process in processes] == [0, 0, 0]
    with sqlite3.connect(tmp_path / "new" / "mlflow.db") as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new"], "nothing in the working directory"


@pytest.mark.parametrize(
    ("uri", "complaint"),
    [
        ("mlruns", "must be a URI such as"),
        ("sqlite:///relative/mlflow.db", "must hold an absolute path"),
    ],
)
def test_a_store_that_depends_on_the_working_directory_is_refused(uri: str, complaint: str) -> None:
    with pytest.raises(HarnessError) as caught:
        open_store(TrackingConfig(uri=uri))
    assert complaint in str(caught.value)


def test_a_damaged_database_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_bytes(b"this is no database" * 100)
    with pytest.raises(HarnessError, match="cannot be opened: ") as caught:
        open_store(TrackingConfig(uri=f"sqlite:///{tmp_path / 'mlflow.db'}"))
    assert "\n" not in str(caught.value)


def test_parameters_metrics_and_reason_arrive(store: Store) -> None:
    run = _run(store, "arrive")
    run.params({"lora.rank": 8, "train.learning_rate": 1e-5, "lora.keys": ["q", "v"], "data.labels": None})
    for step in range(1, 4):
        run.metrics(step, {"train/loss": 1 / step})
    run.finish("FAILED", "the reason")
    found = store.client.get_run(run.run_id)
    assert found.data.params == {
        "lora.rank": "8",
        "train.learning_rate": "1e-05",
        "lora.keys": "q,v",
        "data.labels": "None",
    }
    assert [(m.step, m.value) for m in store.client.get_metric_history(run.run_id, "train/loss")] == [
        (1, 1.0),
        (2, 0.5),
        (3, 1 / 3),
    ]
    assert (found.info.status, found.data.tags["failure"]) == ("FAILED", "the reason")


def test_a_dataset_is_an_input_with_our_digest(store: Store, tmp_path: Path) -> None:
    run = _run(store, "input")
    run.dataset(name="train", digest="f" * 32, path=tmp_path, context="train")
    inputs = store.client.get_run(run.run_id).inputs.dataset_inputs
    assert [(i.dataset.name, i.dataset.digest) for i in inputs] == [("train", "f" * 32)]


def test_a_checkpoint_is_stored_once_with_its_score(store: Store, tmp_path: Path) -> None:
    run = _run(store, "once")
    model_id = _checkpoint(run, tmp_path, 200, 2.5)
    folder = checkpoint_folder(store, model_id)
    local = tmp_path / "0000200_adapters.safetensors"
    assert sorted(path.name for path in folder.iterdir()) == ["adapter_config.json", "adapters.safetensors"]
    assert (folder / "adapters.safetensors").samefile(local)
    history = store.client.get_metric_history(run.run_id, "valid/loss")
    assert [(point.step, point.value) for point in history] == [(200, 2.5)]


def test_a_dropped_checkpoint_is_gone_with_its_files(store: Store, tmp_path: Path) -> None:
    run = _run(store, "dropped")
    model_id = _checkpoint(run, tmp_path, 1, 2.5)
    folder = checkpoint_folder(store, model_id)
    drop_checkpoint(run, model_id)
    assert not (folder / "adapters.safetensors").exists()
    assert checkpoints(store, [run.experiment_id], of_run(run.run_id)).best == []


def test_the_best_checkpoint_has_the_lowest_loss_and_of_equals_the_earliest(store: Store, tmp_path: Path) -> None:
    run = _run(store, "best")
    for step, loss in ((1, 3.0), (2, 2.0), (3, 2.0), (4, float("nan"))):
        _checkpoint(run, tmp_path, step, loss)
    found = checkpoints(store, [run.experiment_id], None).best
    assert [(point.step, point.value) for point in found] == [(2, 2.0), (3, 2.0), (1, 3.0)]
    highest = checkpoints(store, [run.experiment_id], None, maximize=True).best[0]
    assert highest.value == 3.0


def test_scores_on_other_validation_data_are_not_compared(store: Store, tmp_path: Path) -> None:
    run = _run(store, "other-data")
    _checkpoint(run, tmp_path, 1, 1.0, digest="old")
    _checkpoint(run, tmp_path, 2, 2.0, digest="new")
    found = checkpoints(store, [run.experiment_id], None)
    assert ([point.step for point in found.best], found.elsewhere) == ([2], 1)


def test_a_sweeps_checkpoints_are_those_of_its_trials(store: Store, tmp_path: Path) -> None:
    sweep = "a" * 32
    run = _run(store, "of-sweep")
    _checkpoint(run, tmp_path, 1, 1.0)
    inside = _checkpoint(run, tmp_path, 2, 2.0, sweep=sweep)
    assert [point.model_id for point in checkpoints(store, [run.experiment_id], of_sweep(sweep)).best] == [inside]


def test_promoting_rolling_back_and_resolving(store: Store, tmp_path: Path) -> None:
    run = _run(store, "promote")
    for step, loss in ((1, 3.0), (2, 2.0)):
        _checkpoint(run, tmp_path, step, loss)
    second, first = checkpoints(store, [run.experiment_id], None).best
    assert register(store, first, "poet").number == 1
    assert set_alias(store, "poet", "champion", 1) is None
    version = register(store, second, "poet")
    assert (version.number, version.new) == (2, True)
    assert set_alias(store, "poet", "champion", 2) == 1
    assert resolve(store, "models:/poet@champion") == checkpoint_folder(store, second.model_id)
    assert resolve(store, "models:/poet/1") == checkpoint_folder(store, first.model_id)
    assert resolve(store, f"models:/{first.model_id}") == checkpoint_folder(store, first.model_id)
    assert resolve(store, f"runs:/{run.run_id}") == checkpoint_folder(store, second.model_id)
    assert set_alias(store, "poet", "champion", 1) == 2
    assert resolve(store, "models:/poet@champion") == checkpoint_folder(store, first.model_id)


def test_promoting_the_same_checkpoint_again_makes_no_new_version(store: Store, tmp_path: Path) -> None:
    run = _run(store, "again")
    _checkpoint(run, tmp_path, 1, 3.0)
    best = checkpoints(store, [run.experiment_id], None).best[0]
    assert register(store, best, "again").new is True
    again = register(store, best, "again")
    assert (again.number, again.new) == (1, False)


def test_a_version_carries_its_lineage(store: Store, tmp_path: Path) -> None:
    run = _run(store, "lineage")
    _checkpoint(run, tmp_path, 7, 3.0)
    register(store, checkpoints(store, [run.experiment_id], None).best[0], "lineage")
    version = store.client.get_model_version("lineage", "1")
    assert version.run_id == run.run_id
    assert version.tags["base"] == "builtin:tiny" and version.tags["checkpoint_step"] == "7"
    assert float(version.tags["valid/loss"]) == 3.0


@pytest.mark.parametrize(
    ("reference", "complaint"),
    [
        ("models:/nobody@champion", "there is "),
        ("models:/nobody/3", "is not in sqlite"),
        ("runs:/" + "0" * 32, "is not in sqlite"),
    ],
)
def test_a_reference_to_nothing_says_what_there_is(store: Store, reference: str, complaint: str) -> None:
    with pytest.raises(HarnessError) as caught:
        resolve(store, reference)
    assert complaint in str(caught.value)


def test_aliases_that_mlflow_keeps_for_itself_are_refused(store: Store) -> None:
    with pytest.raises(HarnessError, match="keeps for itself"):
        set_alias(store, "poet", "latest", 1)


def test_a_version_that_is_not_there_is_refused(store: Store) -> None:
    with pytest.raises(HarnessError, match="has no version 9"):
        set_alias(store, "poet", "champion", 9)


def test_an_alias_that_is_not_set_points_nowhere(store: Store) -> None:
    assert alias_version(store, "nobody", "champion") is None


def test_trials_are_listed_best_first_and_linked(tmp_path_factory: pytest.TempPathFactory) -> None:
    store = open_store(TrackingConfig(uri=f"sqlite:///{tmp_path_factory.mktemp('listed') / 'mlflow.db'}"))
    sweep = _run(store, "listed", kind="sweep")
    for number, loss in enumerate((3.0, 2.0)):
        trial = TrackedRun.start(
            store,
            sweep.experiment_id,
            name=f"t{number}",
            tags={"kind": "trial", "sweep": sweep.run_id},
            parent=sweep.run_id,
        )
        trial.metrics(1, {"valid/best_loss": loss})
        trial.finish("FINISHED")
    assert newest(store).run_id == sweep.run_id
    assert [run.name for run in trials(store, newest(store))] == ["t1", "t0"]
    save_view(store, sweep.experiment_id, sweep.run_id, ["lora.rank"])
    assert f"viewStateShareKey={sweep.run_id}" in dict(page_links(store))["trials of newest sweep"]
    tags = store.client.get_experiment(sweep.experiment_id).tags
    view = json.loads(tags[f"mlflow.sharedViewState.{sweep.run_id}"])
    assert "params.`lora.rank`" in view["selectedColumns"] and sweep.run_id in view["searchFilter"]
