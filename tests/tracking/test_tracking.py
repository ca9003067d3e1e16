"""Runs, checkpoints and the registry, against a real SQLite store."""

import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import mlx.core as mx
import pytest

from harness.config.objective import TEST_LOSS, VALID_LOSS, WIN_RATE, Objective, objective
from harness.config.schema import TrackingConfig
from harness.errors import HarnessError
from harness.files import write_json
from harness.models.adapter import save_weights
from harness.multirun.table import print_sweep
from harness.releasing.promotion import Choice, promote
from harness.tracking import queries
from harness.tracking.candidates import (
    Candidates,
    Checkpoint,
    best_of_trials,
    of_experiment,
    of_run,
    of_sweep,
)
from harness.tracking.checkpoints import checkpoint_folder
from harness.tracking.queries import newest, trials
from harness.tracking.registry import alias_version, register, resolve, set_alias
from harness.tracking.run_state import STATE, RunState, state_of
from harness.tracking.runs import TrackedRun
from harness.tracking.store import Store, open_store
from harness.tracking.views import page_links, samples_link, save_view

Begin = Callable[..., TrackedRun]


@pytest.fixture
def begin(store: Store) -> Iterator[Callable[..., TrackedRun]]:
    """Starts runs in an experiment, each this process's until the test ends."""
    with ExitStack() as stack:

        def start(experiment: str, **tags: str) -> TrackedRun:
            started = TrackedRun.start(store, experiment, name="r", tags={"kind": "run"} | tags)
            return stack.enter_context(started)

        yield start


def _checkpoint(run: TrackedRun, step: int, loss: float, *, digest: str = "d1", sweep: str = "") -> Path:
    weights = run.folder / f"{step:07d}_adapters.safetensors"
    save_weights(weights, {"a": mx.full((4,), loss)}, {"step": str(step)})
    write_json(run.folder / "adapter_config.json", {})
    run.checkpoint(
        weights.name,
        configs=["adapter_config.json"],
        step=step,
        scores={"valid/loss": loss},
        dataset=("valid", digest),
        params={"lora.rank": 8},
        tags={"base": "builtin:tiny"} | ({"sweep": sweep} if sweep else {}),
    )
    assert run.drain() == 0, run.trouble
    return weights


def _of(store: Store, run: TrackedRun, by: Objective = VALID_LOSS) -> Candidates:
    return of_experiment(store, store.client.get_run(run.run_id).info.experiment_id, by)


def _best(store: Store, run: TrackedRun) -> list[Checkpoint]:
    return _of(store, run).best


def _ended(run: TrackedRun) -> None:
    assert run.finish("FINISHED") == 0, run.trouble


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


def test_parameters_metrics_and_reason_arrive(store: Store, begin: Begin) -> None:
    run = begin("arrive")
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


def test_a_dataset_is_an_input_with_our_digest(store: Store, begin: Begin, tmp_path: Path) -> None:
    run = begin("input")
    run.dataset(name="train", digest="f" * 32, path=tmp_path, context="train")
    _ended(run)
    inputs = store.client.get_run(run.run_id).inputs.dataset_inputs
    assert [(i.dataset.name, i.dataset.digest) for i in inputs] == [("train", "f" * 32)]


def test_a_checkpoint_is_stored_once_with_its_score(store: Store, begin: Begin) -> None:
    run = begin("once")
    local = _checkpoint(run, 200, 2.5)
    (found,) = _best(store, run)
    folder = checkpoint_folder(store, found.model_id)
    assert sorted(path.name for path in folder.iterdir()) == ["adapter_config.json", "adapters.safetensors"]
    assert (folder / "adapters.safetensors").samefile(local)
    history = store.client.get_metric_history(run.run_id, "valid/loss")
    assert [(point.step, point.value) for point in history] == [(200, 2.5)]


def test_a_dropped_checkpoint_is_gone_with_its_files(store: Store, begin: Begin) -> None:
    run = begin("dropped")
    local = _checkpoint(run, 1, 2.5)
    (found,) = _best(store, run)
    folder = checkpoint_folder(store, found.model_id)
    run.drop_checkpoint(1, local.name)
    assert run.drain() == 0
    assert not local.exists()
    assert not (folder / "adapters.safetensors").exists()
    assert of_run(store, queries.get(store, run.run_id)).best == []


def test_the_best_checkpoint_has_the_lowest_loss_and_of_equals_the_earliest(store: Store, begin: Begin) -> None:
    run = begin("best")
    for step, loss in ((1, 3.0), (2, 2.0), (3, 2.0), (4, float("nan"))):
        _checkpoint(run, step, loss)
    found = _best(store, run)
    assert [(point.step, point.value) for point in found] == [(2, 2.0), (3, 2.0), (1, 3.0)]
    highest = _of(store, run, replace(VALID_LOSS, maximize=True)).best[0]
    assert highest.value == 3.0


def test_scores_on_other_validation_data_are_not_compared(store: Store, begin: Begin) -> None:
    run = begin("other-data")
    _checkpoint(run, 1, 1.0, digest="old")
    _checkpoint(run, 2, 2.0, digest="new")
    found = _of(store, run)
    assert ([point.step for point in found.best], found.elsewhere) == ([2], 1)


def _trial(begin: Begin, experiment: str, sweep: TrackedRun, kind: str = "trial") -> TrackedRun:
    return begin(experiment, kind=kind, sweep=sweep.run_id)


def test_a_sweeps_checkpoints_are_those_of_its_trials_but_no_repeats_pruned_or_deleted_ones(
    store: Store, begin: Begin
) -> None:
    sweep, single = begin("of-sweep", kind="sweep"), begin("of-sweep")
    trial, pruned, deleted = (_trial(begin, "of-sweep", sweep) for _ in range(3))
    repeat = _trial(begin, "of-sweep", sweep, kind="repeat")
    _checkpoint(single, 1, 1.0)
    for loss, run in ((2.0, trial), (0.1, pruned), (0.2, deleted), (0.3, repeat)):
        _checkpoint(run, 2, loss, sweep=sweep.run_id)
    pruned.tags({STATE: RunState.PRUNED.tag})
    pruned.finish(RunState.PRUNED.status, "others were better")
    store.client.delete_run(deleted.run_id)
    found = of_sweep(store, queries.get(store, sweep.run_id)).best
    assert [point.run_id for point in found] == [trial.run_id]
    assert [point.run_id for point in _best(store, trial)] == [single.run_id, trial.run_id], "of the experiment too"
    assert [point.value for point in of_run(store, queries.get(store, repeat.run_id)).best] == [0.3], "but by its id"


def test_a_checkpoint_carries_what_was_measured_of_it(store: Store, begin: Begin) -> None:
    run = begin("measured")
    for step, loss in ((1, 3.0), (2, 2.0)):
        _checkpoint(run, step, loss)
    run.checkpoint_metrics(2, {WIN_RATE.name: 0.75})
    run.checkpoint_metrics(2, {TEST_LOSS: 2.5}, dataset=("test", "t1"))
    assert run.drain() == 0, run.trouble
    (judged,), (tested,) = _of(store, run, WIN_RATE).best, _of(store, run, objective(TEST_LOSS)).best
    assert (judged.step, judged.value, judged.digest) == (2, 0.75, "d1")
    assert (tested.step, tested.value, tested.digest) == (2, 2.5, "t1")
    points = store.client.get_metric_history(run.run_id, WIN_RATE.name)
    assert [(point.step, point.value) for point in points] == [(2, 0.75)], "the run has it too, once"


def test_a_win_rate_that_only_the_run_carries_counts_for_its_best_checkpoint(store: Store, begin: Begin) -> None:
    """So it was kept by former versions."""
    run = begin("judged-before")
    for step, loss in ((1, 3.0), (2, 2.0), (3, 2.5)):
        _checkpoint(run, step, loss)
    run.metrics(3, {WIN_RATE.name: 0.75})
    run.drain()
    assert [(point.step, point.value) for point in _of(store, run, WIN_RATE).best] == [(2, 0.75)]


@pytest.fixture
def judged_sweep(store: Store, begin: Begin) -> tuple[TrackedRun, list[TrackedRun]]:
    """Two trials, of which the one with the higher loss writes better; and the newest of the store."""
    sweep = begin("judged", kind="sweep")
    sweep.params({"sweep.metric": WIN_RATE.name})
    runs = [_trial(begin, "judged", sweep) for _ in range(2)]
    for run, loss, rate in zip(runs, (1.0, 2.0), (0.25, 0.75), strict=True):
        _checkpoint(run, 1, loss, sweep=sweep.run_id)
        run.checkpoint_metrics(1, {WIN_RATE.name: rate})
        run.metrics(1, {VALID_LOSS.name: loss})
        _ended(run)
    assert sweep.drain() == 0
    return sweep, runs


def test_what_is_the_best_follows_the_metric_of_the_sweep(
    store: Store, judged_sweep: tuple[TrackedRun, list[TrackedRun]], capsys: pytest.CaptureFixture[str]
) -> None:
    sweep, (lower, better) = judged_sweep
    found = queries.get(store, sweep.run_id)
    assert [row.run_id for row in trials(store, found)] == [better.run_id, lower.run_id]
    assert [point.run_id for point in best_of_trials(store, found, 1)] == [better.run_id]
    assert "win_rate%60&orderByAsc=false" in samples_link("1", sweep.run_id, queries.steered_by(store, found))
    tracking = TrackingConfig(uri=store.uri)
    print_sweep(sweep.run_id, tracking)
    head, *rows = capsys.readouterr().out.splitlines()[2:]
    assert head.split()[:2] == ["run", "judge/win_rate"] and [line.split()[1] for line in rows[1:3]] == ["0.75", "0.25"]
    promote(tracking, Choice(), name="judged", alias="champion")
    assert "judge/win_rate 0.7500" in capsys.readouterr().out
    assert store.client.get_model_version_by_alias("judged", "champion").run_id == better.run_id
    promote(tracking, Choice(sweep=sweep.run_id, metric="valid/loss"), name="judged", alias="champion")
    assert store.client.get_model_version_by_alias("judged", "champion").run_id == lower.run_id
    promote(tracking, Choice(run=better.run_id), name="judged", alias="champion")
    assert store.client.get_model_version_by_alias("judged", "champion").run_id == better.run_id


def test_each_point_is_told_once(store: Store, begin: Begin) -> None:
    run = begin("points")
    run.metrics(6, {"memory/peak_gb": 1.0, "train/loss": 2.0})
    run.metrics(6, {"memory/peak_gb": 1.5, "train/seconds": 9.0})
    _ended(run)
    for name in ("memory/peak_gb", "train/loss", "train/seconds"):
        assert [point.step for point in store.client.get_metric_history(run.run_id, name)] == [6]


@pytest.mark.parametrize(
    ("status", "tags", "state"),
    [
        ("KILLED", {"failure": "pruned after update 3"}, RunState.PRUNED),  # before there was a tag
        ("KILLED", {STATE: "PRUNED", "failure": "others were better"}, RunState.PRUNED),
        ("KILLED", {STATE: "INTERRUPTED", "failure": "pruned trees"}, RunState.KILLED),
        ("RUNNING", {STATE: "PRUNED"}, RunState.RUNNING),
        ("FINISHED", {STATE: "COMPLETE"}, RunState.FINISHED),
    ],
)
def test_a_run_says_what_became_of_it(status: str, tags: dict[str, str], state: RunState) -> None:
    assert state_of(status, tags) is state


def test_several_that_promote_at_once_leave_one_champion_and_no_error(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    store = open_store(TrackingConfig(uri=uri))
    with TrackedRun.start(store, "at-once", name="r", tags={"kind": "run"}) as run:
        _checkpoint(run, 1, 3.0)
        _ended(run)
    code = (
        "from harness.config.schema import TrackingConfig; from harness.releasing.promotion import Choice, promote;"
        f"promote(TrackingConfig(uri={uri!r}), Choice(), name='one', alias='champion')"
    )
    processes = [subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE) for _ in range(3)]
    said = [process.communicate()[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], said
    versions = store.client.search_model_versions("name = 'one'")
    assert [int(version.version) for version in versions] == [1]


def test_promoting_rolling_back_and_resolving(store: Store, begin: Begin) -> None:
    run = begin("promote")
    for step, loss in ((1, 3.0), (2, 2.0)):
        _checkpoint(run, step, loss)
    second, first = _best(store, run)
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


def test_promoting_the_same_checkpoint_again_makes_no_new_version(store: Store, begin: Begin) -> None:
    run = begin("again")
    _checkpoint(run, 1, 3.0)
    best = _best(store, run)[0]
    assert register(store, best, "again").new is True
    again = register(store, best, "again")
    assert (again.number, again.new) == (1, False)


def test_a_version_carries_its_lineage(store: Store, begin: Begin) -> None:
    run = begin("lineage")
    _checkpoint(run, 7, 3.0)
    register(store, _best(store, run)[0], "lineage")
    version = store.client.get_model_version("lineage", "1")
    assert version.run_id == run.run_id
    assert version.tags["base"] == "builtin:tiny" and version.tags["checkpoint_step"] == "7"
    assert float(version.tags["valid/loss"]) == 3.0


@pytest.mark.parametrize(
    ("reference", "complaint"),
    [
        ("models:/nobody@champion", "not found; "),
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
    with TrackedRun.start(store, "listed", name="sweep", tags={"kind": "sweep"}) as sweep:
        for number, loss in enumerate((3.0, 2.0)):
            tags = {"kind": "trial", "sweep": sweep.run_id}
            with TrackedRun.start(store, "listed", name=f"t{number}", tags=tags, parent=sweep.run_id) as trial:
                trial.metrics(1, {"valid/best_loss": loss})
                _ended(trial)
    experiment_id = store.experiment_id("listed")
    assert newest(store).run_id == sweep.run_id
    assert [run.name for run in trials(store, newest(store))] == ["t1", "t0"]
    save_view(store, experiment_id, sweep.run_id, ["lora.rank"])
    assert f"viewStateShareKey={sweep.run_id}" in dict(page_links(store))["trials of newest sweep"]
    tags = store.client.get_experiment(experiment_id).tags
    view = json.loads(tags[f"mlflow.sharedViewState.{sweep.run_id}"])
    assert "params.`lora.rank`" in view["selectedColumns"] and sweep.run_id in view["searchFilter"]
