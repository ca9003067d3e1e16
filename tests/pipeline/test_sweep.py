"""A sweep as the same command again finds it: done, interrupted, or killed."""

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import mlx.core as mx
import psutil
import pytest
from optuna.trial import TrialState

from harness.config.read_axes import read_space
from harness.config.schema import Config, TrackingConfig
from harness.console.progress import Display
from harness.errors import HarnessError
from harness.models.adapter import equal_weights
from harness.multirun.sweep import SweepResult, run_sweep
from harness.run.context import RunHooks, RunPlace
from harness.run.pipeline import train_run
from harness.run.session import Session
from harness.sweeping.attributes import LEASE
from harness.sweeping.lease import own_lease
from harness.sweeping.storage import open_studies
from harness.tracking import run_folder
from harness.tracking.queries import get, trials
from harness.tracking.store import Store, open_store
from tests.commands import run_command
from tests.conftest import QUICK, compose_config
from tests.updates import Counting, interrupting

Sweep = Callable[..., SweepResult]
Said = pytest.CaptureFixture[str]
RANKS = "lora.rank=4,8"


@pytest.fixture(scope="module")
def sweep_store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return open_store(TrackingConfig(uri=f"sqlite:///{tmp_path_factory.mktemp('sweep') / 'mlflow.db'}"))


@pytest.fixture
def sweep(sweep_store: Store) -> Sweep:
    """Runs the sweep of a command line, in this process."""

    def run(*arguments: str, display: Display | None = None) -> SweepResult:
        def compose(overrides: Sequence[str]) -> Config:
            return compose_config(*QUICK, "generate.prompts=[]", f"tracking.uri={sweep_store.uri}", *overrides)

        return run_sweep(read_space({}, arguments), compose, display or Display())

    return run


def _weights(store: Store, sweep_id: str) -> list[dict[str, mx.array]]:
    """Of a sweep's trials, by name; each is finished and there once."""
    rows = sorted(trials(store, get(store, sweep_id)), key=lambda row: row.name)
    assert [(row.name, row.status) for row in rows] == [("rank=4", "FINISHED"), ("rank=8", "FINISHED")]
    loaded = [mx.load(str(store.runs / row.run_id / "adapters" / "0000006_adapters.safetensors")) for row in rows]
    return [weights for weights in loaded if isinstance(weights, dict)]


def _same(one: list[dict[str, mx.array]], other: list[dict[str, mx.array]]) -> bool:
    return all(equal_weights(*pair) for pair in zip(one, other, strict=True))


def test_the_same_command_again_does_nothing_and_says_so(sweep: Sweep, sweep_store: Store, capsys: Said) -> None:
    first = sweep(RANKS, "name=again")
    capsys.readouterr()
    before = len(list(sweep_store.runs.iterdir()))
    second = sweep(RANKS, "name=again")
    assert f"sweep {first.sweep_id} is done: 2 trials; " in capsys.readouterr().err
    assert second == first and len(list(sweep_store.runs.iterdir())) == before
    sweep_store.client.delete_run(first.sweep_id)
    assert sweep(RANKS, "name=again").sweep_id != first.sweep_id, "deleted in MLflow, it begins anew"


def test_an_interrupted_sweep_goes_on_in_the_trial_that_it_was_in_to_the_same_bytes(
    sweep: Sweep, sweep_store: Store, capsys: Said
) -> None:
    whole = sweep(RANKS, "name=undisturbed")

    with pytest.raises(KeyboardInterrupt):
        sweep(RANKS, "name=disturbed", display=interrupting("rank=8", 5))
    assert "go on with the same command: python -m harness.train" in capsys.readouterr().err
    resumed = sweep(RANKS, "name=disturbed")
    said = capsys.readouterr().err
    assert "2 trials, 1 of them done" in said and "after update 3" in said
    assert "2 of 2 trials done, best valid/loss " in said
    assert _same(_weights(sweep_store, whole.sweep_id), _weights(sweep_store, resumed.sweep_id))
    assert sweep_store.client.get_run(resumed.sweep_id).info.status == "FINISHED"


@pytest.mark.parametrize(("method", "step"), [("on_update", 1), ("on_update", 5), ("on_score", 6)])
def test_a_killed_sweep_goes_on_with_every_trial_once(method: str, step: int, tmp_path: Path) -> None:
    """Killed before the first checkpoint, after one, and with the last written but the study not told."""
    uri = f"tracking.uri=sqlite:///{tmp_path / 'mlflow.db'}"
    words = [*QUICK, RANKS, "generate.prompts=[]", uri, "sweep.workers=0"]
    code = f"""
import os, signal, sys
from harness.machine import blas
blas.load()
from harness.run.watcher import RunWatcher
former = RunWatcher.{method}
def die(self, first, *rest, **more):
    former(self, first, *rest, **more)
    if getattr(first, "step", first) == {step} and self._config.lora.rank == 8:
        os.kill(os.getpid(), signal.SIGKILL)
RunWatcher.{method} = die
from harness.train import main
main()
"""
    killed = run_command("-c", code, "-m", *words, folder=tmp_path)
    assert killed.returncode == -9, killed.stderr
    done = run_command("-m", "harness.train", "-m", *words, folder=tmp_path, check=True)
    assert "2 trials, 1 of them done" in done.stderr
    store = open_store(TrackingConfig(uri=f"sqlite:///{tmp_path / 'mlflow.db'}"))
    runs = store.client.search_runs([store.experiment_id("poems")])
    finished = [run for run in runs if run.info.status == "FINISHED" and run.data.tags["kind"] == "trial"]
    assert sorted(run.info.run_name for run in finished) == ["rank=4", "rank=8"]
    assert {run.info.status for run in runs} <= {"FINISHED", "KILLED"}, "what was given up is closed"
    assert len(runs) == (4 if step == 1 else 3), "before its first checkpoint a trial begins anew"


@contextmanager
def _under_way(home: Path) -> Iterator[tuple["subprocess.Popen[str]", psutil.Process]]:
    """A sweep whose first trial can be gone on with: the process that watches, and the one that trains."""
    long = ["train.iters=60", "train.warmup=0", "generate.prompts=[]"]
    command = [sys.executable, "-m", "harness.train", "-m", *QUICK, *long, RANKS]
    command.append(f"tracking.uri=sqlite:///{home / 'mlflow.db'}")
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=home, stdout=pipe, stderr=pipe, text=True) as watching:
        deadline = time.monotonic() + 60
        while not list(home.glob("runs/*/state.safetensors")):
            assert watching.poll() is None and time.monotonic() < deadline
            time.sleep(0.02)
        (training,) = psutil.Process(watching.pid).children()
        try:
            yield watching, training
        finally:
            with suppress(psutil.NoSuchProcess):
                training.kill()
            watching.kill()


def _finished(home: Path) -> list[str]:
    """The finished trials by name."""
    store = open_store(TrackingConfig(uri=f"sqlite:///{home / 'mlflow.db'}"))
    found = store.client.search_runs([store.experiment_id("poems")], "tags.kind = 'trial'")
    return sorted(run.info.run_name for run in found if run.info.status == "FINISHED")


def test_a_worker_that_is_killed_is_named_and_its_trial_taken_up_again(tmp_path: Path) -> None:
    with _under_way(tmp_path) as (watching, training):
        training.kill()
        _, said = watching.communicate(timeout=120)
        assert watching.returncode == 0, said
    assert "ended by SIGKILL (perhaps for want of memory); its trial is taken up again" in said
    assert "going on with run " in said and _finished(tmp_path) == ["rank=4", "rank=8"]


def test_a_worker_stops_when_nobody_watches_over_it_and_the_same_command_goes_on(tmp_path: Path) -> None:
    with _under_way(tmp_path) as (watching, training):
        watching.kill()
        training.wait(timeout=60)
        assert len(_finished(tmp_path)) < 2
        done = subprocess.run(watching.args, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    assert _finished(tmp_path) == ["rank=4", "rank=8"]


def test_ctrl_c_reaches_the_worker_and_the_same_command_goes_on(tmp_path: Path) -> None:
    with _under_way(tmp_path) as (watching, training):
        watching.send_signal(signal.SIGINT)
        _, said = watching.communicate(timeout=60)
        assert watching.returncode == 130 and not training.is_running()
    assert "go on with the same command: python -m harness.train" in said and "Traceback" not in said
    store = open_store(TrackingConfig(uri=f"sqlite:///{tmp_path / 'mlflow.db'}"))
    runs = store.client.search_runs([store.experiment_id("poems")])
    assert {run.info.status for run in runs} == {"KILLED"} and len(runs) == 2


def test_a_run_that_finished_as_its_process_died_is_not_trained_again(sweep: Sweep, sweep_store: Store) -> None:
    with pytest.raises(_Died):
        sweep(RANKS, "name=told", display=_Dying())
    _by_a_process_that_is_gone(sweep_store)
    counting = Counting()
    result = sweep(RANKS, "name=told", display=counting)
    _weights(sweep_store, result.sweep_id)
    assert counting.seen == [1, 2, 3, 4, 5, 6], "of the second trial alone"
    assert [each.trial.attempt for each in result.results] == [1, 1], "nobody watched"


class _Died(BaseException):
    pass


class _Dying(Display):
    """As a run has finished, and before anybody is told of it."""

    def say(self, text: str) -> None:
        super().say(text)
        if text.startswith("rank=4: valid/loss "):
            raise _Died


def _by_a_process_that_is_gone(store: Store) -> None:
    """What this process has in hand becomes that of a former one with its id."""
    studies = open_studies(None, store.studies)
    for name in studies.names():
        storage = studies.storage(name)
        study = storage.get_study_id_from_name(name)
        for trial in storage.get_all_trials(study, states=[TrialState.RUNNING]):
            number = storage.get_trial_id_from_study_id_trial_number(study, trial.number)
            storage.set_trial_user_attr(number, LEASE, own_lease() | {"started": 0.0})


def test_a_search_draws_from_ranges_and_more_trials_go_on_with_it(sweep: Sweep, sweep_store: Store) -> None:
    space = ["lora.rank=int(interval(2,9))", "train.learning_rate=tag(log,interval(1e-4,1e-2))", "name=search"]
    first = sweep(*space, "sweep.trials=2")
    more = sweep(*space, "sweep.trials=3")
    assert more.sweep_id == first.sweep_id and len(more.results) == 3 and more.results[:2] == first.results
    rows = trials(sweep_store, get(sweep_store, more.sweep_id))
    rates = {float(sweep_store.client.get_run(row.run_id).data.params["train.learning_rate"]) for row in rows}
    assert len(rates) == 3 and all(1e-4 <= rate <= 1e-2 for rate in rates)
    best = sweep_store.client.get_run(more.sweep_id).data.metrics["valid/best_loss"]
    assert best == min(result.value for result in more.results if result.value is not None)


def test_a_pruned_run_ends_at_its_validation_and_can_be_gone_on_with(sweep_store: Store, capsys: Said) -> None:
    config = compose_config(*QUICK, "name=pruned")
    session = Session(sweep_store, Display())
    pruned = train_run(config, session, RunPlace(), RunHooks(report=lambda step, loss: step == 3))
    assert "pruned after update 3: others were better there" in capsys.readouterr().err
    row = get(sweep_store, pruned.run_id)
    assert row.status == "PRUNED" and pruned.outcome.last.step == 3
    assert (pruned.folder / run_folder.STATE).exists() and not (pruned.folder / "samples.jsonl").exists()
    whole = train_run(compose_config(*QUICK, "name=pruned", f"train.resume={pruned.run_id}"), session, RunPlace())
    assert whole.run_id == pruned.run_id and whole.outcome.updates == 6
    report = json.loads((whole.folder / "report.json").read_text("utf-8"))
    assert [score["step"] for score in report["validations"]] == [0, 3, 6]
    assert get(sweep_store, pruned.run_id).status == "FINISHED"


def test_a_run_that_has_fallen_behind_at_its_last_update_is_whole(sweep_store: Store) -> None:
    session = Session(sweep_store, Display())
    done = train_run(
        compose_config(*QUICK, "name=behind"), session, RunPlace(), RunHooks(report=lambda step, loss: step == 6)
    )
    assert not done.outcome.pruned and get(sweep_store, done.run_id).status == "FINISHED"
    assert (done.folder / "samples.jsonl").exists()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (
            ["lora.rank=interval(4,8)", "sweep.trials=2"],
            "lora.rank must be a whole number, but got 4.0; try lora.rank=int(interval(…))",
        ),
        (["lora.scale=interval(1,4)"], "has no end of values: say how many trials, such as sweep.trials=20"),
        (["sweep.seed=1,2"], "sweep.seed must be the same for all trials of a sweep; give it one value"),
        (["lora.rank=4,0"], "lora.rank must be at least 1, but got 0"),
        ([RANKS, "train.resume=auto"], "train.resume is for single runs; the same command goes on with a sweep"),
        ([RANKS, "train.init_adapter=a"], "train.init_adapter=a fits its own lora.rank alone; give that one value"),
    ],
)
def test_a_search_that_cannot_work_is_refused_before_anything_runs(
    sweep: Sweep, sweep_store: Store, arguments: list[str], complaint: str
) -> None:
    before = set(sweep_store.runs.glob("*"))
    with pytest.raises(HarnessError, match=re.escape(complaint)):
        sweep(*arguments, "name=refused")
    assert set(sweep_store.runs.glob("*")) == before
