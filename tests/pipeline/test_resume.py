"""Which run is gone on with, what is refused, and what a run can start from or only evaluate."""

import json
import os
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import mlx.core as mx
import pytest

from harness.config.schema import Config, TrackingConfig
from harness.console.progress import Display
from harness.errors import BusyError, DamagedError, DeletedError, HarnessError
from harness.files import only_process
from harness.models.adapter_reading import read_adapter
from harness.run.context import RunHooks, RunPlace
from harness.run.identity import identity_of
from harness.run.inputs import gather_inputs
from harness.run.pipeline import FinishedRun, train_run
from harness.run.session import Session
from harness.tracking import run_folder
from harness.tracking.journal import Journal
from harness.tracking.reconcile import reconcile
from harness.tracking.run_state import RunState
from harness.tracking.runs import TrackedRun
from harness.tracking.store import Store, open_store
from harness.tuning.state import load_state
from tests.updates import at_update, interrupt

Quick = Callable[..., Config]


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    home = tmp_path_factory.mktemp("resume")
    return Session(open_store(TrackingConfig(uri=f"sqlite:///{home / 'mlflow.db'}")), Display())


def _run(session: Session, config: Config, overrides: list[str] | None = None) -> FinishedRun:
    return train_run(config, session, RunPlace(overrides=overrides or []))


def _interrupted(session: Session, config: Config, after: int = 4) -> str:
    """A run stopped by Ctrl-C, in the update after the one given; its id."""
    begun = list[str]()
    hooks = replace(at_update(after + 1, interrupt), began=begun.append)
    with pytest.raises(KeyboardInterrupt):
        train_run(config, session, RunPlace(), hooks)
    return begun[0]


def _last_weights(store: Store, run_id: str) -> dict[str, mx.array]:
    weights = mx.load(str(store.runs / run_id / "adapters" / "0000006_adapters.safetensors"))
    assert isinstance(weights, dict)
    return weights


def test_an_interrupted_run_says_how_to_go_on_and_does(
    session: Session, quick_config: Quick, capsys: pytest.CaptureFixture[str]
) -> None:
    config = quick_config("name=goes-on", "lora.dropout=0.1")
    run_id = _interrupted(session, config)
    assert f"go on with: python -m harness.train train.resume={run_id}" in capsys.readouterr().err
    whole = _run(session, config)
    rest = _run(session, quick_config("name=goes-on", "lora.dropout=0.1", f"train.resume={run_id}"))
    assert rest.run_id == run_id != whole.run_id
    assert rest.outcome.best.loss == whole.outcome.best.loss
    first, second = _last_weights(session.store, run_id), _last_weights(session.store, whole.run_id)
    assert all(mx.array_equal(first[key], second[key]).item() for key in first)
    history = session.store.client.get_metric_history(run_id, "valid/loss")
    assert [point.step for point in history] == [0, 3, 6], "one MLflow run, each point once"
    report = json.loads((rest.folder / "report.json").read_text("utf-8"))
    assert [entry["step"] for entry in report["validations"]] == [0, 3, 6]
    assert [entry["step"] for entry in report["training"]] == [2, 4, 6]
    assert not (rest.folder / run_folder.STATE).exists(), "a finished run keeps no state"


def test_auto_goes_on_with_the_same_identity_only(session: Session, quick_config: Quick) -> None:
    run_id = _interrupted(session, quick_config("name=auto"))
    other = _run(session, quick_config("name=auto", "train.resume=auto", "lora.rank=4"))
    assert other.run_id != run_id
    same = _run(session, quick_config("name=auto", "train.resume=auto", "train.steps_per_report=3"))
    assert same.run_id == run_id
    again = _run(session, quick_config("name=auto", "train.resume=auto"))
    assert again.run_id != run_id, "a finished run is not gone on with"


def test_a_run_of_the_version_that_knew_a_base_by_a_part_of_its_bytes_goes_on_with_a_warning(
    session: Session, quick_config: Quick, capsys: pytest.CaptureFixture[str]
) -> None:
    run_id = _interrupted(session, quick_config("name=former"))
    file = session.store.runs / run_id / "identity.json"
    base = session.base(quick_config().model)
    file.write_text(json.dumps(json.loads(file.read_text()) | {"base": base.former_revision}))
    assert _run(session, quick_config("name=former", "train.resume=auto")).run_id == run_id
    said = capsys.readouterr().err
    assert f"warning: run {run_id} was begun when a base was known by a part of its bytes" in said


def test_another_identity_is_refused_naming_what_differs(session: Session, quick_config: Quick) -> None:
    run_id = _interrupted(session, quick_config("name=other"))
    with pytest.raises(HarnessError, match="is another run: lora.rank was 8 and is 4, train.learning_rate was 0.005"):
        _run(session, quick_config("name=other", f"train.resume={run_id}", "lora.rank=4", "train.learning_rate=0.001"))


def test_a_finished_run_is_not_gone_on_with(session: Session, quick_config: Quick) -> None:
    done = _run(session, quick_config("name=finished"))
    with pytest.raises(HarnessError, match="names a run that is finished"):
        _run(session, quick_config("name=finished", f"train.resume={done.run_id}"))


def test_a_run_stopped_before_its_first_checkpoint_is_refused(
    session: Session, quick_config: Quick, capsys: pytest.CaptureFixture[str]
) -> None:
    run_id = _interrupted(session, quick_config("name=early"), after=1)
    assert "stopped before the first checkpoint" in capsys.readouterr().err
    with pytest.raises(HarnessError, match="was stopped before its first checkpoint; start it anew"):
        _run(session, quick_config("name=early", f"train.resume={run_id}"))


def test_a_run_whose_folder_is_elsewhere_is_refused(session: Session, quick_config: Quick) -> None:
    run_id = _interrupted(session, quick_config("name=elsewhere"))
    shutil.rmtree(session.store.runs / run_id)
    with pytest.raises(HarnessError, match="must have its folder here"):
        _run(session, quick_config("name=elsewhere", f"train.resume={run_id}"))


def test_two_processes_cannot_work_on_one_run(session: Session, quick_config: Quick) -> None:
    run_id = _interrupted(session, quick_config("name=twice"))
    with (
        only_process(session.store.runs / run_id / ".lock", "the test"),
        pytest.raises(
            HarnessError, match=f"run {run_id} is in the hands of process {os.getpid()}; wait for it or stop it"
        ),
    ):
        _run(session, quick_config("name=twice", f"train.resume={run_id}"))


def test_a_warm_start_begins_with_the_adapters_weights(session: Session, quick_config: Quick) -> None:
    first = _run(session, quick_config("name=warm"))
    second = _run(session, quick_config("name=warm", f"train.init_adapter=runs:/{first.run_id}", "train.seed=3"))
    assert second.outcome.start.loss == first.outcome.best.loss
    assert second.outcome.best.loss < first.outcome.best.loss
    parts = json.loads((second.folder / run_folder.PARTS).read_text("utf-8"))
    assert parts["start"] and parts != json.loads((first.folder / run_folder.PARTS).read_text("utf-8"))


@pytest.mark.parametrize(
    ("override", "complaint"),
    [
        ("lora.rank=4", "has lora.rank=8, but this run 4; make them the same"),
        ("lora.num_layers=1", "has lora.num_layers=2, but this run 1"),
        ("lora.keys=[q_proj]", r"but this run \[self_attn.q_proj\]; make them the same"),
        ("lora.fine_tune_type=dora", "has lora.fine_tune_type=lora, but this run dora"),
    ],
)
def test_a_warm_start_from_another_adapter_is_refused(
    session: Session, quick_config: Quick, override: str, complaint: str
) -> None:
    first = _run(session, quick_config("name=misfit", "train.iters=1", "generate.prompts=[]"))
    with pytest.raises(HarnessError, match=complaint):
        _run(session, quick_config("name=misfit", f"train.init_adapter={first.folder / 'adapters'}", override))


def test_a_warm_start_from_another_base_is_refused(session: Session, quick_config: Quick, tmp_path: Path) -> None:
    first = _run(session, quick_config("name=base", "train.iters=1", "generate.prompts=[]"))
    shutil.copytree(first.folder / "adapters", tmp_path / "a", symlinks=False)
    config = json.loads((tmp_path / "a" / "adapter_config.json").read_text())
    (tmp_path / "a" / "adapter_config.json").write_text(json.dumps(config | {"model_revision": "0123"}))
    with pytest.raises(
        HarnessError, match="was trained on builtin:tiny at 0123, but this run's base is builtin:tiny at"
    ):
        _run(session, quick_config("name=base", f"train.init_adapter={tmp_path / 'a'}"))


def test_evaluating_only_scores_an_adapter_on_valid_and_test(session: Session, quick_config: Quick) -> None:
    trained = _run(session, quick_config("name=evaluate", "train.test=true"))
    scored = _run(
        session,
        quick_config("name=evaluate", "train.iters=0", "train.test=true", f"train.init_adapter=runs:/{trained.run_id}"),
    )
    metrics = [session.store.client.get_run(each.run_id).data.metrics for each in (trained, scored)]
    assert metrics[0]["valid/best_loss"] == metrics[1]["valid/best_loss"]
    assert metrics[0]["test/loss"] == metrics[1]["test/loss"] > 0
    assert not list((scored.folder / "adapters").glob("*.safetensors"))
    samples = [json.loads((each.folder / "samples.jsonl").read_text("utf-8")) for each in (trained, scored)]
    assert samples[0]["text"] == samples[1]["text"]


def test_the_bare_base_can_be_evaluated(session: Session, quick_config: Quick) -> None:
    scored = _run(session, quick_config("name=bare", "train.iters=0", "train.test=true"))
    assert scored.outcome.best.step == 0 and scored.outcome.updates == 0


def test_a_missing_test_split_is_refused(session: Session, quick_config: Quick, poems: Path, tmp_path: Path) -> None:
    for name in ("train", "valid"):
        shutil.copy(poems / f"{name}.jsonl", tmp_path)
    with pytest.raises(HarnessError, match="test.jsonl is not there"):
        _run(session, quick_config("train.test=true", f"data.path={tmp_path}"))


def test_a_run_that_diverges_fails_with_its_good_checkpoints_kept(session: Session, quick_config: Quick) -> None:
    """By a momentum that makes each update a trillion times the one before, soon after the checkpoint of update 3."""
    words = ["train.optimizer=sgd", "+train.optimizer_args.momentum=1e12", "train.learning_rate=1e-26"]
    words += ["train.lr_schedule=constant", "train.warmup=0"]
    with pytest.raises(HarnessError, match=r"must be a finite number, but is (nan|inf); lower train.learning_rate"):
        _run(session, quick_config("name=diverges", "train.iters=20", *words))
    (run,) = session.store.client.search_runs([session.store.experiment_id("diverges")])
    assert run.info.status == "FAILED" and "(lines " in run.data.tags["failure"]
    adapter = read_adapter(session.store.runs / run.info.run_id / "adapters")
    weights = mx.load(str(adapter.weights))
    assert isinstance(weights, dict) and adapter.iteration == 3
    assert all(mx.isfinite(value).all().item() for value in weights.values())


def test_a_run_that_the_disk_cannot_hold_is_refused_before_it_trains(
    session: Session, quick_config: Quick, capsys: pytest.CaptureFixture[str]
) -> None:
    done = _run(session, quick_config("name=disk", "train.save_every=2"))
    (most,) = re.findall(r"up to 6 checkpoints of .* MB, (\d+) MB at most in all", capsys.readouterr().err)
    used = sum(path.stat().st_size for path in done.folder.rglob("*.safetensors") if not path.is_symlink())
    assert 0 < used <= 1e6 * float(most)
    with pytest.raises(HarnessError, match=r"need up to .* GB, but .* has .* GB free; set train.keep=3, or make room"):
        _run(session, quick_config("name=disk", "train.save_every=1", f"train.iters={10**11}"))


def test_a_runs_adapter_is_the_best_checkpoint(session: Session, quick_config: Quick) -> None:
    done = _run(session, quick_config("name=best"))
    assert read_adapter(done.folder / "adapters").iteration == done.outcome.best.step


def test_what_another_process_trains_is_not_trained_beside_it(session: Session, quick_config: Quick) -> None:
    """The second command comes as the first has begun, and has nothing but its beginning in its folder."""
    config, again = quick_config("name=at-once", "generate.prompts=[]"), quick_config("name=other", "train.iters=1")

    def at_the_same_moment(run_id: str) -> None:
        said = rf"process {os.getpid()} is training the very same \(name=at-once, run {run_id}\); .*train.resume=auto"
        for resume in ("false", "auto"):
            with pytest.raises(BusyError, match=said):
                _run(session, quick_config("name=at-once", f"train.resume={resume}"))
        _run(session, again)

    done = train_run(config, session, RunPlace(), RunHooks(began=at_the_same_moment))
    assert done.outcome.updates == 6
    assert len(_statuses(session, "at-once")) == 1


@pytest.mark.parametrize("resume", ["false", "auto"])
def test_a_run_killed_before_its_first_checkpoint_is_closed_by_the_next(
    resume: str, session: Session, quick_config: Quick, capsys: pytest.CaptureFixture[str]
) -> None:
    name = f"name=killed-{resume}"
    identity = identity_of(gather_inputs(quick_config(name), session).parts)
    with TrackedRun.start(session.store, f"killed-{resume}", name="r", tags={"identity": identity}) as killed:
        killed.drain()
    with TrackedRun.start(session.store, f"killed-{resume}", name="r", tags={"identity": "0" * 16}) as other:
        other.drain()
    done = _run(session, quick_config(name, f"train.resume={resume}", "generate.prompts=[]"))
    statuses = _statuses(session, f"killed-{resume}")
    assert statuses == {killed.run_id: "KILLED", other.run_id: "RUNNING", done.run_id: "FINISHED"}
    assert f"run {killed.run_id}, the same as this one, is closed: its process was gone" in capsys.readouterr().err


def _statuses(session: Session, experiment: str) -> dict[str, str]:
    runs = session.store.client.search_runs([session.store.experiment_id(experiment)])
    return {run.info.run_id: run.info.status for run in runs}


def test_a_run_that_is_deleted_while_it_trains_stops_and_says_how_to_go_on(
    session: Session, quick_config: Quick
) -> None:
    config = quick_config("name=deleted", "train.iters=200")
    begun: list[str] = []

    def leave() -> None:
        """Once, after the first update: delete it, and wait until that is known."""
        if len(begun) == 1:
            begun.append("deleted")
            session.store.client.delete_run(begun[0])
            until = time.monotonic() + 20
            while not Journal(session.store.runs / begun[0]).sent.deleted and time.monotonic() < until:
                time.sleep(0.05)

    with pytest.raises(DeletedError, match="was deleted in MLflow, so it was stopped; restore it there, then go on"):
        train_run(config, session, RunPlace(), RunHooks(began=begun.append, leave=leave))
    folder = session.store.runs / begun[0]
    assert Journal(folder).ended == "KILLED"
    # the file may say that it is deleted a moment before the run's own thread does
    assert load_state(folder / run_folder.STATE).course.step in (1, 2)
    assert begun[0] not in [settled.run_id for settled in reconcile(session.store)]
    session.store.client.restore_run(begun[0])
    done = _run(session, quick_config("name=deleted", "train.iters=200", "train.resume=auto", "generate.prompts=[]"))
    assert done.run_id == begun[0]


def test_a_trial_whose_state_is_cut_is_begun_anew_and_that_is_said(
    session: Session, quick_config: Quick, capsys: pytest.CaptureFixture[str]
) -> None:
    config, begun = quick_config("name=cut", "generate.prompts=[]"), list[str]()
    with TrackedRun.start(session.store, "cut", name="sweep", tags={"kind": "sweep"}) as sweep:
        place = RunPlace(sweep=sweep.run_id, trial=0)
        with pytest.raises(KeyboardInterrupt):
            train_run(config, session, place, replace(at_update(5, interrupt), began=begun.append))
        state = session.store.runs / begun[0] / run_folder.STATE
        state.write_bytes(state.read_bytes()[:-100])
        done = train_run(config, session, place)
        sweep.finish(RunState.FINISHED)
    assert done.run_id != state.parent.name and done.outcome.updates == 6
    said = capsys.readouterr().err
    assert f"warning: run {state.parent.name} is not gone on with: its {run_folder.STATE} is not a readable" in said


def test_a_named_run_whose_state_is_cut_is_refused(session: Session, quick_config: Quick) -> None:
    run_id = _interrupted(session, quick_config("name=cut-named"))
    state = session.store.runs / run_id / run_folder.STATE
    state.write_bytes(state.read_bytes()[:-100])
    with pytest.raises(DamagedError, match=run_folder.STATE):
        _run(session, quick_config("name=cut-named", f"train.resume={run_id}"))
