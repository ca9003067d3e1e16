"""What a run says of memory, what it holds in each phase, and what is said when there is not enough."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mlx.core as mx
import pytest
from mlx.utils import tree_flatten

import harness.run.samples
from harness.config.schema import Config, TrackingConfig
from harness.console.progress import Display
from harness.errors import HarnessError
from harness.run.context import RunPlace
from harness.run.pipeline import train_run
from harness.run.session import Session
from harness.run.watcher import RunWatcher
from harness.tracking.store import open_store

Quick = Callable[..., Config]


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    home = tmp_path_factory.mktemp("memory")
    return Session(open_store(TrackingConfig(uri=f"sqlite:///{home / 'mlflow.db'}")), Display())


def test_prediction_and_use_are_said_and_logged(
    session: Session, quick_config: Quick, capsys: pytest.CaptureFixture[str]
) -> None:
    done = train_run(quick_config(), session, RunPlace())
    said = capsys.readouterr().err
    for phase in ("training", "sampling"):
        assert f"{phase} needs about " in said and " MB of memory (weights " in said
    metrics = session.store.client.get_run(done.run_id).data.metrics
    assert metrics["memory/training_predicted_gb"] == pytest.approx(metrics["memory/peak_gb"], rel=0.25)
    assert metrics["memory/sampling_predicted_gb"] > 0 and metrics["memory/sampling_peak_gb"] > 0
    for name in ("memory/active_gb", "memory/cache_gb", "memory/peak_gb"):
        assert metrics[name] >= 0
    assert metrics["system/memory_process_gb"] > 0 and metrics["system/memory_available_gb"] > 0
    history = session.store.client.get_metric_history(done.run_id, "memory/active_gb")
    assert [point.step for point in history] == [2, 4, 6]
    report = json.loads((done.folder / "report.json").read_text("utf-8"))
    assert set(report["memory_predicted_bytes"]["training"]) == {"weights", "adapter", "activations", "logits"}


def test_the_peak_is_of_the_run_and_not_of_one_before_it(session: Session, quick_config: Quick) -> None:
    large = train_run(quick_config("name=large", "lora.rank=256", "generate.prompts=[]"), session, RunPlace())
    small = train_run(quick_config("name=small", "lora.rank=1", "generate.prompts=[]"), session, RunPlace())
    assert small.outcome.peak_gb < large.outcome.peak_gb


@pytest.mark.parametrize("resumed", [False, True])
def test_texts_are_written_without_what_training_needed(
    resumed: bool, session: Session, quick_config: Quick, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rank that makes the optimizer's state larger than the base."""
    overrides = ["name=phases", "lora.rank=512", f"train.seed={int(resumed)}"]
    model = session.base(quick_config().model).model
    session.base(quick_config().model).materialize()
    at_rest = sum(value.nbytes for _, value in tree_flatten(model.parameters()))
    held: list[int] = []
    write = harness.run.samples.write

    def watched(*args: Any, **kwargs: Any) -> Iterator[Any]:
        held.append(mx.get_active_memory())
        return write(*args, **kwargs)

    if resumed:
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(RunWatcher, "on_update", _interrupt_at_5)
            train_run(quick_config(*overrides), session, RunPlace())
        overrides.append("train.resume=auto")
    monkeypatch.setattr(harness.run.samples, "write", watched)
    done = train_run(quick_config(*overrides), session, RunPlace())
    adapter = (done.folder / "adapters" / "adapters.safetensors").stat().st_size
    assert adapter > at_rest
    elsewhere = 2_000_000  # tokens, batches and what earlier tests of this process hold
    assert held[0] < at_rest + adapter + elsewhere


def _interrupt_at_5(self: RunWatcher, at: int, loss: float) -> None:
    if at == 5:
        raise KeyboardInterrupt


def test_too_little_memory_is_warned_of_with_what_to_change(
    session: Session, quick_config: Quick, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("harness.run.preflight.device_memory", lambda: 5_000_000)
    train_run(quick_config("name=little", "generate.prompts=[]"), session, RunPlace())
    said = " ".join(capsys.readouterr().err.split())
    assert "warning: the device has 5 MB for this; should it not do, change in this order" in said
    assert "train.grad_checkpoint=true (" in said and "a smaller base" in said


def test_memory_that_other_programs_hold_is_warned_of(
    session: Session, quick_config: Quick, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("harness.run.preflight.free_memory", lambda: 1_000_000)
    train_run(quick_config("name=shared", "generate.prompts=[]"), session, RunPlace())
    assert "warning: other programs leave 1 MB of" in capsys.readouterr().err


def test_a_base_that_the_device_cannot_hold_is_refused(
    session: Session, quick_config: Quick, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.run.preflight.device_memory", lambda: 1_000)
    with pytest.raises(HarnessError, match=r"take \d+ MB, but the device has 0 MB; choose a smaller base"):
        train_run(quick_config("name=large-base"), session, RunPlace())


@pytest.mark.parametrize(
    "text",
    [
        "[metal::malloc] Attempting to allocate 9000000000 bytes which is greater than the maximum allowed buffer size",
        "[METAL] Command buffer execution failed: Insufficient Memory (kIOGPUCommandBufferCallbackErrorOutOfMemory)",
        "cudaMallocAsync(&data, size, stream) failed: out of memory",
    ],
)
def test_running_out_of_memory_says_what_to_change(
    text: str, session: Session, quick_config: Quick, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The texts of Metal and CUDA; the CPU's backend ends the process instead."""

    def fail(self: RunWatcher, at: int, loss: float) -> None:
        raise RuntimeError(text)

    monkeypatch.setattr(RunWatcher, "on_update", fail)
    with pytest.raises(HarnessError, match=r"out of memory .*; change in this order, .*train.grad_checkpoint=true"):
        train_run(quick_config("name=shortage"), session, RunPlace())


def test_the_report_of_an_evaluation_predicts_no_training(session: Session, quick_config: Quick) -> None:
    done = train_run(quick_config("name=evaluation", "train.iters=0"), session, RunPlace())
    report = json.loads(Path(done.folder / "report.json").read_text("utf-8"))
    assert set(report["memory_predicted_bytes"]) == {"sampling"}
