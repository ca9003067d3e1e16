"""What a sweep spares, spends and tells: lengths, reuse, budgets, repeats, several processes, another terminal."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import mlx.core as mx
import pytest

from harness.config.read_axes import read_space
from harness.config.schema import Config, TrackingConfig
from harness.console.progress import Display
from harness.console.worker_environment import WORKER
from harness.errors import DeletedError, HarnessError
from harness.models.adapter import equal_weights
from harness.multirun.context import Worker
from harness.multirun.limits import Clock
from harness.multirun.one_trial import OneTrial
from harness.multirun.report import page
from harness.multirun.retention import drop_losers
from harness.multirun.sweep import SweepResult, run_sweep
from harness.multirun.table import print_sweep
from harness.sweeping.listing import ask_to_stop, find_study
from harness.sweeping.siblings import Siblings
from harness.sweeping.states import TrialStatus
from harness.sweeping.storage import open_studies
from harness.tracking import run_folder
from harness.tracking.candidates import run_checkpoints
from harness.tracking.journal import Journal
from harness.tracking.queries import Finished, get, repeats, trials
from harness.tracking.reconcile import run_folders
from harness.tracking.registry import register, resolve, set_alias
from harness.tracking.store import Store, open_store
from harness.tracking.valid_rows import valid_rows_of
from tests.commands import run_command
from tests.conftest import QUICK, compose_config
from tests.updates import Acting, Counting

Sweep = Callable[..., SweepResult]
Said = pytest.CaptureFixture[str]
LENGTHS = ["lora.rank=4", "train.lr_schedule=constant", "train.warmup=0"]
LENGTHS += ["train.steps_per_eval=2", "train.save_every=2"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("search")


@pytest.fixture(scope="module")
def store(home: Path) -> Store:
    return open_store(TrackingConfig(uri=f"sqlite:///{home / 'mlflow.db'}"))


@pytest.fixture
def sweep(store: Store) -> Sweep:
    """Runs the sweep of a command line, in this process."""

    def run(
        *arguments: str,
        only: OneTrial | None = None,
        index: int = 0,
        display: Display | None = None,
        clock: Clock = time.monotonic,
    ) -> SweepResult:
        def compose(overrides: Sequence[str]) -> Config:
            return compose_config(*QUICK, "generate.prompts=[]", f"tracking.uri={store.uri}", *overrides)

        worker = Worker(siblings=Siblings({WORKER: str(index)}), command=["-m", *arguments], only=only)
        return run_sweep(read_space({}, arguments), compose, display or Display(), worker, clock=clock)

    return run


def _rows(store: Store, swept: SweepResult) -> dict[str, Finished]:
    return {row.name: row for row in trials(store, get(store, swept.sweep_id))}


def _weights(store: Store, run_id: str, step: int) -> dict[str, mx.array]:
    loaded = mx.load(str(store.runs / run_id / "adapters" / f"{step:07d}_adapters.safetensors"))
    assert isinstance(loaded, dict)
    return loaded


def _events(store: Store, run_id: str, event: str) -> list[dict[str, Any]]:
    lines = (store.runs / run_id / "log.jsonl").read_text("utf-8").splitlines()
    return [entry for entry in map(json.loads, lines) if entry["event"] == event]


def test_a_grid_over_iterations_costs_its_longest(sweep: Sweep, store: Store) -> None:
    """Shorter ones first are gone on with, longer ones first hold them; each is a run like one trained alone."""
    alone = {iters: sweep(*LENGTHS, f"train.iters={iters},2", f"name=alone{iters}") for iters in (4, 8)}
    for order in ("2,4,8", "8,2,4"):
        counting = Counting()
        swept = sweep(*LENGTHS, f"train.iters={order}", f"name=lengths-{order[0]}", display=counting)
        assert sorted(counting.seen) == [1, 2, 3, 4, 5, 6, 7, 8]
        rows = _rows(store, swept)
        assert {row.status for row in rows.values()} == {"FINISHED"} and len(rows) == 3
        for iters, other in alone.items():
            row, twin = rows[f"iters={iters}"], _rows(store, other)[f"iters={iters}"]
            assert equal_weights(_weights(store, row.run_id, iters), _weights(store, twin.run_id, iters))
            for name in ("valid/loss", "valid/best_loss", "valid/best_step", "train/loss", "valid/left_out_loss"):
                assert row.metrics[name] == twin.metrics[name]
            scored = [[(e["step"], e["loss"]) for e in _events(store, run.run_id, "scored")] for run in (row, twin)]
            assert scored[0] == scored[1]
            kept = [valid_rows_of(store, run.run_id) for run in (row, twin)]
            assert kept[0] and kept[1] and kept[0].steps.tolist() == kept[1].steps.tolist() != []
            assert (kept[0].sums == kept[1].sums).all()
            steps = [len(store.client.get_metric_history(run.run_id, "valid/loss")) for run in (row, twin)]
            assert steps[0] == steps[1]
        source = rows["iters=4"].tags["taken_from"]
        assert source == rows["iters=2" if order[0] == "2" else "iters=8"].run_id


@pytest.mark.parametrize("schedule", ["train.lr_schedule=cosine", "train.warmup=0.25"])
def test_iterations_are_an_ordinary_parameter_where_the_schedule_depends_on_them(
    sweep: Sweep, store: Store, schedule: str
) -> None:
    counting = Counting()
    swept = sweep(*LENGTHS, "train.iters=4,8", schedule, f"name=ordinary-{len(schedule)}", display=counting)
    assert len(counting.seen) == 12 and not any("taken_from" in row.tags for row in _rows(store, swept).values())


def test_the_same_identity_is_trained_once_and_with_reuse_nowhere_in_the_store(sweep: Sweep, store: Store) -> None:
    counting = Counting()
    keys = "lora.keys=[q_proj],[self_attn.q_proj]"  # two ways to say the same
    first = sweep(keys, "lora.scale=16.0", "name=identity", display=counting)
    assert len(counting.seen) == 6
    rows = sorted(trials(store, get(store, first.sweep_id)), key=lambda row: len(row.tags))
    assert rows[1].tags["taken_from"] == rows[0].run_id and len({row.metrics["valid/best_loss"] for row in rows}) == 1
    again = sweep("lora.keys=[q_proj]", "lora.scale=8.0,16.0", "name=identity2", "sweep.reuse=store", display=counting)
    assert len(counting.seen) == 12, "one of two is there"
    assert _rows(store, again)["scale=16.0"].tags["taken_from"] in {row.run_id for row in rows}
    words = ["lora.keys=[q_proj]", "lora.scale=16.0,32.0", "name=identity3", "sweep.reuse=store", "train.valid_rows=3"]
    elsewhere = sweep(*words, display=counting)
    assert len(counting.seen) == 24 and len(elsewhere.results) == 2, "scored on other rows, it is no measure"


def test_a_run_that_was_validated_more_often_is_not_taken_over(sweep: Sweep) -> None:
    """The best of more validations would be compared with the best of fewer."""
    counting = Counting()
    sweep("train.steps_per_eval=2,3", "name=cadence", display=counting)
    assert len(counting.seen) == 12


def test_losers_give_up_their_checkpoints_and_can_be_gone_on_with(sweep: Sweep, store: Store) -> None:
    swept = sweep("lora.rank=2,4,8", "name=losers", "sweep.keep=1")
    best, *losers = trials(store, get(store, swept.sweep_id))
    assert list((store.runs / best.run_id / "adapters").glob("*_adapters.safetensors"))
    for loser in losers:
        folder = store.runs / loser.run_id
        assert not list((folder / "adapters").glob("*adapters.safetensors")) and (folder / "state.safetensors").exists()
        assert get(store, loser.run_id).status == "FINISHED"
        assert "others of its sweep were better" in get(store, loser.run_id).tags["checkpoints"]


def test_a_losers_checkpoint_that_was_promoted_is_kept_whatever_else_it_gives_up(sweep: Sweep, store: Store) -> None:
    swept = sweep("lora.rank=2,4", "name=promoted")
    best, loser = trials(store, get(store, swept.sweep_id))
    adapters = store.runs / loser.run_id / "adapters"
    first, _ = run_checkpoints(store, loser.run_id)
    set_alias(store, "kept", "champion", register(store, first, "kept").number)
    for _ in range(2):
        drop_losers(store, swept.results, keep=1)
        assert [file.name for file in adapters.glob("*_adapters.safetensors")] == ["0000003_adapters.safetensors"]
    assert [point.step for point in run_checkpoints(store, loser.run_id)] == [3]
    assert resolve(store, "models:/kept@champion").joinpath("adapters.safetensors").exists()
    assert not (adapters / "adapters.safetensors").is_symlink(), "its best was given up"
    assert len(run_checkpoints(store, best.run_id)) == 2
    ended = [entry for entry in Journal(adapters.parent).entries if entry["kind"] == "ended"]
    assert len(ended) == 2, "what has nothing more to give is left alone"


def test_budgets_of_time_and_disk_end_a_sweep_that_more_of_them_goes_on_with(
    sweep: Sweep, store: Store, capsys: Said
) -> None:
    ranks = ["lora.rank=2,4,8", "name=budget"]
    first = sweep(*ranks, "sweep.hours=1e-6")
    said = capsys.readouterr().err
    assert "another trial would end after sweep.hours=1e-06: 1 of 3 trials done" in said
    assert "go on with the same command: python -m harness.train -m lora.rank=2,4,8 name=budget" in said
    sweep(*ranks, "sweep.disk_gb=1e-6")
    assert "its trials hold 0.0 GB, more than sweep.disk_gb=1e-06 (sweep.keep=3 keeps less)" in capsys.readouterr().err
    whole = sweep(*ranks)
    assert whole.sweep_id == first.sweep_id and len(whole.results) == 3
    assert get(store, whole.sweep_id).status == "FINISHED"


def test_a_trial_that_takes_too_long_fails_and_the_others_go_on(sweep: Sweep, store: Store) -> None:
    now = [0.0]

    def pass_time(name: str, step: int) -> None:
        now[0] += 400.0 if name == "rank=4" else 1.0

    words = ["lora.rank=4,8", "name=slow", "sweep.trial_minutes=10"]
    swept = sweep(*words, display=Acting(pass_time), clock=lambda: now[0])
    assert [result.failure is None for result in swept.results] == [False, True]
    assert "it took longer than sweep.trial_minutes=10" in str(swept.results[0].failure)
    assert _rows(store, swept)["rank=4"].status == "FAILED"


def test_an_interrupted_run_is_left_at_its_update_and_ends_with_the_same_bytes(
    sweep: Sweep, store: Store, capsys: Said
) -> None:
    """Ctrl-C between two checkpoints loses nothing."""
    whole = sweep("lora.rank=4,6", "name=gentle")

    def press(name: str, step: int) -> None:
        if step == 2:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        sweep("lora.rank=4,6", "name=gentle2", display=Acting(press))
    assert "stopping after this update; Ctrl-C again: at once" in capsys.readouterr().err
    resumed = sweep("lora.rank=4,6", "name=gentle2")
    assert "after update 2" in capsys.readouterr().err
    for name, row in _rows(store, resumed).items():
        twin = _rows(store, whole)[name]
        assert equal_weights(_weights(store, row.run_id, 6), _weights(store, twin.run_id, 6))
        assert row.metrics["train/loss"] == twin.metrics["train/loss"]


def test_a_trial_that_failed_is_tried_again_alone_when_asked_for(sweep: Sweep, store: Store, capsys: Said) -> None:
    def fail(name: str, step: int) -> None:
        if step == 4:
            raise RuntimeError("a bug")

    words = ["lora.rank=2,4", "name=failed"]
    lost = sweep(*words, display=Acting(fail))
    assert [result.failure for result in lost.results] == ["RuntimeError: a bug"] * 2
    assert get(store, lost.sweep_id).status == "FAILED"
    capsys.readouterr()
    again = sweep(*words, only=OneTrial(lost.sweep_id, 2))
    said = capsys.readouterr().err
    assert "trial 2 of 2: rank=4" in said and "after update 3" in said and "trial 1 of 2" not in said
    assert again.sweep_id == lost.sweep_id and [result.failure is None for result in again.results] == [False, True]
    parent = get(store, again.sweep_id)
    assert (parent.status, parent.metrics["sweep/failed_trials"]) == ("FINISHED", 1.0)
    assert parent.tags["best_run"] == lost.results[1].run_id, "it went on with its own run"
    assert sweep(*words).sweep_id == lost.sweep_id, "not all of it has failed any more"
    with pytest.raises(HarnessError, match="makes another sweep by now: its data, base or adapter"):
        sweep(*words, "train.valid_rows=3", only=OneTrial(lost.sweep_id, 1))


def test_a_trial_stopped_by_hand_is_pruned_until_it_is_gone_on_with(sweep: Sweep, store: Store) -> None:
    studies = open_studies(None, store.studies)

    def stop(name: str, step: int) -> None:
        if (name, step) == ("rank=4", 1):
            ask_to_stop(studies, find_study(studies, None), 2)

    words = ["lora.rank=2,4,6", "name=by-hand"]
    stopped = sweep(*words, display=Acting(stop))
    assert [result.pruned for result in stopped.results] == [False, True, False]
    assert _rows(store, stopped)["rank=4"].status == "PRUNED"
    whole = sweep(*words, only=OneTrial(stopped.sweep_id, 2))
    assert [result.pruned for result in whole.results] == [False, False, False]
    assert [result.run_id for result in whole.results] == [result.run_id for result in stopped.results]
    row, parent = _rows(store, whole)["rank=4"], get(store, whole.sweep_id)
    assert row.status == "FINISHED" and row.metrics["valid/best_loss"] == whole.results[1].value
    assert parent.status == "FINISHED" and parent.metrics["sweep/pruned_trials"] == 0.0
    assert find_study(studies, whole.sweep_id).state == "done"


def test_a_sweep_is_stopped_in_its_repeats_too(sweep: Sweep, store: Store, capsys: Said) -> None:
    studies = open_studies(None, store.studies)

    def stop(name: str, step: int) -> None:
        if name.endswith("seed=1") and step == 2:
            listed = find_study(studies, None)
            assert listed.state == "running" and len(listed.workers) == 1
            ask_to_stop(studies, listed, None)

    words = ["lora.rank=2,4", "name=stopped-repeats", "sweep.repeats=1"]
    stopped = sweep(*words, display=Acting(stop))
    assert "stopped by harness.sweep: 2 of 2 trials done" in capsys.readouterr().err
    assert not repeats(store, get(store, stopped.sweep_id)) and get(store, stopped.sweep_id).status == "KILLED"
    assert find_study(studies, None).state == "stopped"
    whole = sweep(*words)
    assert "repeat 2 of 2" in capsys.readouterr().err and whole.sweep_id == stopped.sweep_id
    assert len(repeats(store, get(store, whole.sweep_id))) == 2 and get(store, whole.sweep_id).status == "FINISHED"


def test_a_sweep_that_is_deleted_in_mlflow_stops_and_is_settled_before_another_begins(
    sweep: Sweep, store: Store, capsys: Said
) -> None:
    studies, seen = open_studies(None, store.studies), list[str]()
    words = ["lora.rank=2,4,6", "name=deleted"]

    def delete(name: str, step: int) -> None:
        if step == 2 and not seen:
            seen.append(find_study(studies, None).parent)
            store.client.delete_run(seen[0])
            with pytest.raises(
                DeletedError, match="is at work on it until the next validation; type the command again"
            ):
                sweep(*words)

    with pytest.raises(DeletedError, match="of 3 trials done; restore it there to go on"):
        sweep(*words, display=Acting(delete))
    journal = Journal(store.runs / seen[0])
    assert journal.ended == "KILLED" and not journal.waiting
    journals = [Journal(folder) for folder in run_folders(store)]
    ended = [each.ended for each in journals if each.begun and each.begun["parent"] == seen[0]]
    assert ended == ["KILLED"], "its only trial"
    other = sweep(*words)
    assert other.sweep_id != seen[0] and len(other.results) == 3
    assert sweep(*words, index=1).sweep_id == other.sweep_id, "one that comes later finds it behind the deleted one"
    with pytest.raises(DeletedError, match=f"sweep {seen[0]} was deleted in MLflow"):
        sweep(*words, only=OneTrial(seen[0], 1))


def _known_to_be_deleted(store: Store, run_id: str) -> None:
    """Wait until the run's own thread has heard of it."""
    until = time.monotonic() + 20
    while not Journal(store.runs / run_id).sent.deleted and time.monotonic() < until:
        time.sleep(0.01)


def test_a_trial_that_is_deleted_in_mlflow_counts_as_failed_and_the_others_go_on(
    sweep: Sweep, store: Store, capsys: Said
) -> None:
    deleted: list[str] = []

    def delete(name: str, step: int) -> None:
        if (name, step) == ("rank=4", 3) and deleted:  # the report of update 2 is sent, and refused
            _known_to_be_deleted(store, deleted[0])
        if (name, step) == ("rank=4", 2) and not deleted:
            begun = find_study(open_studies(None, store.studies), None)
            (at_work,) = [each for each in trials(store, get(store, begun.parent)) if each.name == name]
            deleted.append(at_work.run_id)
            store.client.delete_run(at_work.run_id)

    words = ["lora.rank=2,4,6", "name=one-deleted"]
    swept = sweep(*words, display=Acting(delete))
    failed = [each for each in swept.results if each.failure is not None]
    assert [each.run_id for each in failed] == deleted and len(swept.results) == 3
    assert f"run {deleted[0]} was deleted in MLflow" in str(failed[0].failure)
    parent = get(store, swept.sweep_id)
    assert parent.status == "FINISHED" and parent.metrics["sweep/failed_trials"] == 1
    assert len(trials(store, parent)) == 2
    capsys.readouterr()
    assert sweep(*words).sweep_id == swept.sweep_id and "is done: 3 trials" in capsys.readouterr().err
    again = sweep(*words, only=OneTrial(swept.sweep_id, 2))
    (result,) = [each for each in again.results if each.trial.place == 2]
    assert result.status is TrialStatus.DONE and result.run_id not in deleted, "tried again, it is another run"


def test_a_search_learns_from_earlier_runs_on_the_same_data(sweep: Sweep, store: Store, capsys: Said) -> None:
    earlier = sweep("lora.rank=2,4,8", "name=earlier")
    words = ["lora.rank=int(interval(3,9))", "sweep.trials=1", f"sweep.warm_start={earlier.sweep_id}", "name=warm"]
    sweep(*words)
    assert f"2 earlier runs of {earlier.sweep_id} fit this search" in capsys.readouterr().err
    sweep(*words[:2], "sweep.warm_start=earlier", "name=warm2", "train.valid_rows=3")
    assert "0 earlier runs of earlier fit this search" in capsys.readouterr().err
    with pytest.raises(HarnessError, match="sweep.warm_start=nothing must be an experiment or a sweep's id"):
        sweep(*words[:2], "sweep.warm_start=nothing", "name=warm3")
    with pytest.raises(HarnessError, match="sweep.warm_start is for a sampler that learns"):
        sweep("lora.rank=4,8", "sweep.warm_start=earlier", "name=warm4")


def test_a_sweep_without_repeats_marks_what_the_validation_rows_do_not_tell_from_the_best(
    sweep: Sweep, store: Store, capsys: Said
) -> None:
    swept = sweep("lora.scale=16.0,16.1", "train.learning_rate=1e-7,5e-3", "name=marked", "train.valid_rows=10")
    studies = open_studies(None, store.studies)
    written = page(store, studies, find_study(studies, swept.sweep_id))
    assert (
        "8 checkpoints of 4 runs on the same rows" in written and written.count(" ≈") - written.count("marked ≈") == 1
    )
    capsys.readouterr()
    print_sweep(swept.sweep_id, TrackingConfig(uri=store.uri))
    shown = capsys.readouterr().out
    assert shown.count(" ≈ ") == 1 and "is left of it on rows that did not choose; ≈: may be the best" in shown
    for row in _rows(store, swept).values():  # as runs of before were
        (store.runs / row.run_id / run_folder.VALID_ROWS).unlink()
    print_sweep(swept.sweep_id, TrackingConfig(uri=store.uri))
    assert "≈" not in capsys.readouterr().out


def test_repeats_tell_how_much_is_noise_and_the_report_shows_it(sweep: Sweep, store: Store, capsys: Said) -> None:
    words = ["lora.rank=2,4,6,8", "name=repeats", "sweep.repeats=2", "generate.prompts=['河']"]
    swept = sweep(*words)
    said = capsys.readouterr().err
    assert len(re.findall(r"rank=\d: \d\.\d{4} ± \d\.\d{4} over 3 seeds", said)) == 3
    assert re.search(r"two runs that differ by less than 0\.\d{4} may differ by their seeds alone", said)
    again = repeats(store, get(store, swept.sweep_id))
    assert len(again) == 6 and {run.params["train.seed"] for run in again} == {"1", "2"}
    assert len(_rows(store, swept)) == 4, "they are not among the trials"
    studies = open_studies(None, store.studies)
    written = page(store, studies, find_study(studies, swept.sweep_id))
    for part in (
        "4 of 4 trials: 4 to their end",
        "may differ by their seeds alone",
        "is left of it on rows that did not choose",
        "Parallel coordinates",
        "Texts of",
    ):
        assert part in written
    assert "4 trials to their end are too few to tell how much 1 settings matter" in written.replace("&#x27;", "'")
    sweep(*words)
    assert "is done: 4 trials" in capsys.readouterr().err
    sweep(*words[:2], "sweep.repeats=3", words[3])
    assert "repeat 9 of 9" in capsys.readouterr().err, "more repeats go on with it"


def _command(home: Path, *words: str) -> list[str]:
    usual = ["generate.prompts=[]", f"tracking.uri=sqlite:///{home / 'mlflow.db'}"]
    return [sys.executable, "-m", "harness.train", "-m", *QUICK, *usual, *words]


FAULTY = """
import os, signal, sys, time
from harness.machine import blas
blas.load()
from harness.run.watcher import RunWatcher
former = RunWatcher.on_update
def fault(self, step, loss):
    former(self, step, loss)
    if step == 2 and self._config.lora.rank == 3:
        raise RuntimeError("a bug")
    if step == 2 and self._config.lora.rank == 4:
        os.abort()
    if step == 2 and self._config.lora.rank == 5:
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
        time.sleep(1000)
RunWatcher.on_update = fault
"""


def test_trials_that_raise_abort_hang_or_diverge_cost_only_themselves(tmp_path: Path) -> None:
    """Each is named with its reason, by two workers; sitecustomize puts the faults into the processes that train."""
    faulty = f'import os\nif "HARNESS_CONTROLLER" in os.environ:\n{_indented(FAULTY)}'
    (tmp_path / "sitecustomize.py").write_text(faulty)
    words = ["lora.rank=2,3,4,5", "train.learning_rate=5e-3,9e9", "train.max_grad_norm=null", "name=faulty"]
    words += ["sweep.constraints=['lora.rank == 2 or train.learning_rate < 1']"]
    words += ["sweep.workers=2", "sweep.retries=0", "sweep.trial_minutes=0.05"]
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run(_command(tmp_path, *words), cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    store = open_store(TrackingConfig(uri=f"sqlite:///{tmp_path / 'mlflow.db'}"))
    studies = open_studies(None, store.studies)
    listed = find_study(studies, None)
    assert (listed.state, listed.ended, listed.counts[TrialStatus.DONE]) == ("done", 5, 1), done.stderr
    said = done.stderr
    assert len(re.findall(r"trial \d failed: RuntimeError: a bug", said)) == 1
    assert len(re.findall(r"trial \d failed: its process died 1 times, the last time by SIGABRT", said)) == 1
    assert len(re.findall(r"trial \d failed: SIGALRM \(it took longer than sweep.trial_minutes\)", said)) == 1
    assert len(re.findall(r"trial \d failed: .*must be a finite number", said)) == 1
    (aborted,) = re.findall(
        r"trial (\d) failed: its process died .*; to try it again: python -m harness.sweep resume", said
    )
    command = [sys.executable, "-m", "harness.sweep", "resume", "--trial", aborted, "--tracking-uri", store.uri]
    again = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert again.returncode == 0 and f"trial {aborted} of 5" in again.stderr, again.stderr
    assert again.stdout.startswith(f"HARNESS_TRIAL={listed.parent}/{aborted} python -m harness.train -m ")
    assert find_study(studies, None).counts[TrialStatus.DONE] == 2
    assert "2 workers share one device" in said and "\n2: trial " in f"\n{said}"


def _indented(code: str) -> str:
    return "".join(f"    {line}\n" for line in code.splitlines())


def test_a_sweep_is_listed_stopped_and_gone_on_with_from_another_terminal(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"

    def sweep_command(*words: str) -> str:
        return run_command("-m", "harness.sweep", *words, "--tracking-uri", uri, folder=tmp_path, check=True).stdout

    words = ["lora.rank=4,8", "train.iters=5000", "train.warmup=0", "name=stopped"]
    words += ["train.steps_per_eval=15", "train.save_every=15"]
    pipe = subprocess.PIPE
    with subprocess.Popen(_command(tmp_path, *words), cwd=tmp_path, stdout=pipe, stderr=pipe, text=True) as running:
        deadline = time.monotonic() + 60
        while not list(tmp_path.glob("runs/*/adapters/0000015_adapters.safetensors")):
            assert running.poll() is None and time.monotonic() < deadline
            time.sleep(0.02)
        assert "is to end at the next validation" in sweep_command("stop")
        _, said = running.communicate(timeout=60)
        assert running.returncode == 0 and "stopped by harness.sweep: 0 of 2 trials done" in said
    listed = sweep_command("list")
    assert "stopped" in listed and "0 of 2" in listed and "lora.rank=4,8" in listed
    command = [sys.executable, "-m", "harness.sweep", "resume", "--tracking-uri", uri]
    with subprocess.Popen(command, cwd=tmp_path, stdout=pipe, stderr=pipe, text=True) as resumed:
        assert resumed.stderr is not None and any("going on with run" in line for line in resumed.stderr)
        resumed.send_signal(signal.SIGINT)
        resumed.communicate(timeout=60)
        assert resumed.returncode == 130
    report = run_command("-m", "harness.report", "--tracking-uri", uri, folder=tmp_path, check=True).stdout
    assert Path(report.splitlines()[0]).read_text("utf-8").startswith("<!doctype html>")
    store = open_store(TrackingConfig(uri=uri))
    sweep_id = Path(report.splitlines()[0]).parent.name
    assert "report.html" in {artifact.path for artifact in store.client.list_artifacts(sweep_id)}


def test_the_smoke_search_goes_from_end_to_end_and_again_says_that_it_is_done(tmp_path: Path) -> None:
    uri = f"tracking.uri=sqlite:///{tmp_path / 'mlflow.db'}"
    command = ["-m", "harness.train", "-m", "sweep=smoke", "name=smoke", uri]
    done = run_command(*command, folder=tmp_path)
    assert done.returncode == 0 and "5 of 5 trials done" in done.stderr, done.stderr
    assert "may differ by their seeds alone" in done.stderr and "report: " in done.stderr
    (report,) = tmp_path.glob("runs/*/report.html")
    assert "5 of 5 trials" in report.read_text("utf-8")
    again = run_command(*command, folder=tmp_path)
    assert again.returncode == 0 and "is done: 5 trials" in again.stderr
