"""What a run says of memory, what it holds in each phase, and what is said when there is not enough."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import mlx.core as mx
import pytest
from mlx.utils import tree_flatten

from harness.config.schema import Config, TrackingConfig
from harness.console.progress import Display
from harness.errors import HarnessError
from harness.machine.device import begin_phase
from harness.run.context import RunPlace
from harness.run.pipeline import train_run
from harness.run.session import Session
from harness.tracking.store import open_store
from tests.updates import at_update, interrupt

Quick = Callable[..., Config]


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    home = tmp_path_factory.mktemp("memory")
    return Session(open_store(TrackingConfig(uri=f"sqlite:///{home / 'mlflow.db'}")), Display())


@dataclass(frozen=True)
class AtRest:
    """Bytes that are held before a run: the base, and what this process has of others, as a fixture for all tests."""

    base: int
    other: int


def _at_rest(session: Session, config: Config) -> AtRest:
    base = session.base(config.model)
    base.materialize()
    begin_phase()
    size = sum(value.nbytes for _, value in tree_flatten(base.model.parameters()))
    return AtRest(size, mx.get_active_memory() - size)


class Weighing(Display):
    """Keeps how many bytes are held as texts are begun."""

    def __init__(self) -> None:
        super().__init__()
        self.held: list[int] = []

    def say(self, text: str) -> None:
        super().say(text)
        if text.startswith("writing 1 samples with the checkpoint"):
            self.held.append(mx.get_active_memory())


def test_prediction_and_use_are_said_and_logged(
    session: Session, quick_config: Quick, capsys: pytest.CaptureFixture[str]
) -> None:
    elsewhere = _at_rest(session, quick_config())
    done = train_run(quick_config(), session, RunPlace())
    said = capsys.readouterr().err
    for phase in ("training", "sampling"):
        assert f"{phase} needs about " in said and " MB of memory (weights " in said
    metrics = session.store.client.get_run(done.run_id).data.metrics
    peak = metrics["memory/peak_gb"] - elsewhere.other / 1e9
    assert metrics["memory/training_predicted_gb"] == pytest.approx(peak, rel=0.25)
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
def test_texts_are_written_without_what_training_needed(resumed: bool, session: Session, quick_config: Quick) -> None:
    """A rank that makes the optimizer's state larger than the base."""
    weighing = Weighing()
    session = Session(session.store, weighing)
    overrides = ["name=phases", "lora.rank=512", f"train.seed={int(resumed)}"]
    before = _at_rest(session, quick_config())
    if resumed:
        with pytest.raises(KeyboardInterrupt):
            train_run(quick_config(*overrides), session, RunPlace(), at_update(5, interrupt))
        overrides.append("train.resume=auto")
    done = train_run(quick_config(*overrides), session, RunPlace())
    adapter = (done.folder / "adapters" / "adapters.safetensors").stat().st_size
    assert adapter > before.base
    elsewhere = 2_000_000  # tokens and batches
    (held,) = weighing.held
    assert held < before.base + before.other + elsewhere


@pytest.mark.parametrize(
    "text",
    [
        "[metal::malloc] Attempting to allocate 9000000000 bytes which is greater than the maximum allowed buffer size",
        "[METAL] Command buffer execution failed: Insufficient Memory (kIOGPUCommandBufferCallbackErrorOutOfMemory)",
        "cudaMallocAsync(&data, size, stream) failed: out of memory",
    ],
)
def test_running_out_of_memory_says_what_to_change(text: str, session: Session, quick_config: Quick) -> None:
    """The texts of Metal and CUDA; the CPU's backend ends the process instead."""

    def fail() -> None:
        raise RuntimeError(text)

    with pytest.raises(HarnessError, match=r"out of memory .*; change in this order, .*train.grad_checkpoint=true"):
        train_run(quick_config("name=shortage"), session, RunPlace(), at_update(1, fail))


def test_the_report_of_an_evaluation_predicts_no_training(session: Session, quick_config: Quick) -> None:
    done = train_run(quick_config("name=evaluation", "train.iters=0"), session, RunPlace())
    report = json.loads(Path(done.folder / "report.json").read_text("utf-8"))
    assert set(report["memory_predicted_bytes"]) == {"sampling"}
