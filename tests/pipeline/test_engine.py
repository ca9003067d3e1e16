"""Runs that begin their steps at the first adapted block: the same results, computed once, nothing else held."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlx.core as mx
import pytest
from mlx.utils import tree_flatten

import harness.engines
import harness.trunks
from harness.config.schema import Config, TrackingConfig
from harness.material import Bench
from harness.models.adapter import equal_weights
from harness.progress import Display
from harness.run import FinishedRun, Place, train_run
from harness.tracking.store import Store, open_store
from harness.watch import RunWatcher

Quick = Callable[..., Config]
Said = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def engine_store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return open_store(TrackingConfig(uri=f"sqlite:///{tmp_path_factory.mktemp('engine') / 'mlflow.db'}"))


@pytest.fixture
def bench(engine_store: Store) -> Bench:
    """Its own base and trunks, as a process of its own has them."""
    return Bench(engine_store, Display())


@pytest.fixture
def few_rows(tmp_path: Path, poems: Path) -> str:
    """Eight rows, so that six updates are more than an epoch."""
    for name in ("train", "valid"):
        lines = (poems / f"{name}.jsonl").read_text("utf-8").splitlines()[:8]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return f"data.path={tmp_path}"


def _run(bench: Bench, config: Config) -> FinishedRun:
    return train_run(config, bench, Place())


def _weights(done: FinishedRun) -> dict[str, mx.array]:
    weights = mx.load(str(done.folder / "adapters" / "0000006_adapters.safetensors"))
    assert isinstance(weights, dict)
    return weights


def test_a_run_without_its_frozen_blocks_ends_like_one_with_them(
    bench: Bench, quick_config: Quick, few_rows: str, capsys: Said
) -> None:
    ours = _run(bench, quick_config(few_rows, "generate.prompts=[河]"))
    assert "steps begin at block 6 of 8: what the frozen ones make of each row is kept" in capsys.readouterr().err
    off = ["train.trunk_cache=false", "train.head_on_targets=false", "generate.prompts=[河]"]
    whole = _run(bench, quick_config(few_rows, *off))
    assert "all blocks are computed in every step: train.trunk_cache=false" in capsys.readouterr().err
    scores = [
        [entry["loss"] for entry in json.loads((each.folder / "report.json").read_text("utf-8"))["validations"]]
        for each in (ours, whole)
    ]
    assert scores[0] == pytest.approx(scores[1], abs=1e-4)
    samples = [json.loads((each.folder / "samples.jsonl").read_text("utf-8"))["text"] for each in (ours, whole)]
    assert samples[0] == samples[1]


@pytest.mark.parametrize(
    ("overrides", "reason"),
    [
        (["lora.num_layers=8"], "every block is adapted, or a layer outside the blocks"),
        (["train.iters=3"], "less than an epoch to train"),
    ],
)
def test_what_keeps_all_blocks_in_every_step_is_said(
    bench: Bench,
    quick_config: Quick,
    few_rows: str,
    capsys: Said,
    overrides: list[str],
    reason: str,
) -> None:
    _run(bench, quick_config(few_rows, "generate.prompts=[]", *overrides))
    assert f"all blocks are computed in every step: {reason}" in capsys.readouterr().err


def test_rows_that_would_take_too_much_memory_are_not_kept(
    bench: Bench,
    quick_config: Quick,
    few_rows: str,
    capsys: Said,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(harness.engines, "free_memory", lambda: 1000)
    _run(bench, quick_config(few_rows, "generate.prompts=[]"))
    assert "what the frozen blocks make of the rows would take 0.0 GB of memory" in capsys.readouterr().err


def test_a_model_that_does_not_bear_the_cut_is_trained_whole(
    bench: Bench,
    quick_config: Quick,
    few_rows: str,
    capsys: Said,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(harness.engines, "disagreement", lambda *_: "the loss differs by 1 of 2")
    done = _run(bench, quick_config(few_rows, "generate.prompts=[]"))
    said = capsys.readouterr().err
    assert "all blocks are computed in every step: this model cannot be cut, the loss differs by 1 of 2" in said
    assert "the head is computed for all positions: the loss differs by 1 of 2" in said
    assert done.outcome.best.loss < done.outcome.start.loss


def test_an_interrupted_run_goes_on_to_the_same_bytes(
    bench: Bench, engine_store: Store, quick_config: Quick, few_rows: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    overrides = [few_rows, "name=interrupted", "lora.dropout=0.1", "generate.prompts=[]", "train.resume=auto"]
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(RunWatcher, "on_update", _interrupt_at_5)
        _run(bench, quick_config(*overrides))
    resumed = _run(Bench(engine_store, Display()), quick_config(*overrides))
    whole = _run(Bench(engine_store, Display()), quick_config(*overrides[:-1]))
    assert resumed.run_id != whole.run_id
    assert equal_weights(_weights(resumed), _weights(whole))


def _interrupt_at_5(self: RunWatcher, at: int, loss: float) -> None:
    if at == 5:
        raise KeyboardInterrupt


def test_runs_of_one_process_share_what_the_frozen_blocks_made_and_end_as_if_alone(
    bench: Bench, engine_store: Store, quick_config: Quick, few_rows: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed: list[int] = []
    compute = harness.trunks.compute_hidden

    def counted(model: Any, at: int, *args: Any, **kwargs: Any) -> Any:
        computed.append(at)
        return compute(model, at, *args, **kwargs)

    monkeypatch.setattr(harness.trunks, "compute_hidden", counted)
    shared = [
        _run(bench, quick_config(few_rows, f"lora.rank={rank}", f"train.batch_size={rows}"))
        for rank, rows in ((4, 2), (8, 3), (4, 2))
    ]
    assert computed == [6, 6], "train and valid, once each"
    alone = _run(Bench(engine_store, Display()), quick_config(few_rows, "lora.rank=4"))
    assert equal_weights(_weights(shared[0]), _weights(shared[2]))
    assert equal_weights(_weights(shared[0]), _weights(alone))


def test_a_step_holds_no_weights_below_the_cut(
    bench: Bench, quick_config: Quick, few_rows: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = bench.base(quick_config().model).model
    below = sum(v.nbytes for block in model.layers[:6] for _, v in tree_flatten(block.parameters()))
    held: list[int] = []

    def watched(self: RunWatcher, at: int, loss: float) -> None:
        if at == 5:
            held.append(mx.get_active_memory())

    monkeypatch.setattr(RunWatcher, "on_update", watched)
    for override in ("train.trunk_cache=false", "train.trunk_cache=auto"):
        _run(bench, quick_config(few_rows, "lora.rank=1", "lora.keys=[q_proj]", override))
    assert held[1] < held[0] - 0.8 * below
