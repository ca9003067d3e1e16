"""Runs that begin their steps at the first adapted block: the same results, computed once, nothing else held."""

import json
import shutil
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import mlx.core as mx
import pytest
from mlx.utils import tree_flatten
from mlx_lm.models.qwen2 import Model, ModelArgs

from harness.config.schema import Config, TrackingConfig
from harness.console.progress import Display
from harness.data.dataset import Row
from harness.machine.device import begin_phase
from harness.models.adapter import attached, equal_weights
from harness.models.base import Base
from harness.run.context import RunHooks, RunPlace
from harness.run.inputs import gather_inputs
from harness.run.pipeline import FinishedRun, train_run
from harness.run.session import Session
from harness.run.shortcuts import planned_cut, prepare_engine
from harness.tracking.store import Store, open_store
from harness.tuning.engine import WHOLE_MODEL, Compare, Engine, disagreement, head_chunk
from harness.tuning.hidden import hidden_bytes
from harness.tuning.memory import shape_of
from harness.tuning.trunk_cache import Trunks
from tests.models.changed import times_3
from tests.updates import at_update, interrupt
from tools.architectures.tiny import settings_of

Quick = Callable[..., Config]
Said = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def engine_store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return open_store(TrackingConfig(uri=f"sqlite:///{tmp_path_factory.mktemp('engine') / 'mlflow.db'}"))


@pytest.fixture
def fresh(engine_store: Store, tmp_path: Path) -> Callable[[], Session]:
    """Its own base and trunks, as a process of its own has them; the files are the test's."""
    return lambda: Session(engine_store, Display(), Trunks(tmp_path / "trunks"))


@pytest.fixture
def session(fresh: Callable[[], Session]) -> Session:
    return fresh()


@pytest.fixture
def few_rows(tmp_path: Path, poems: Path) -> str:
    """Eight rows, so that six updates are more than an epoch."""
    for name in ("train", "valid"):
        lines = (poems / f"{name}.jsonl").read_text("utf-8").splitlines()[:8]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return f"data.path={tmp_path}"


def _run(session: Session, config: Config, hooks: RunHooks = RunHooks()) -> FinishedRun:  # noqa: B008
    return train_run(config, session, RunPlace(), hooks)


def _weights(done: FinishedRun) -> dict[str, mx.array]:
    weights = mx.load(str(done.folder / "adapters" / "0000006_adapters.safetensors"))
    assert isinstance(weights, dict)
    return weights


def test_a_run_that_leaves_things_out_ends_like_one_that_computes_everything(
    session: Session, quick_config: Quick, few_rows: str, capsys: Said
) -> None:
    ours = _run(session, quick_config(few_rows, "generate.prompts=[河]"))
    assert "steps begin at block 6 of 8: what the frozen ones make of each row is kept" in capsys.readouterr().err
    off = ["train.trunk_cache=false", "train.head_on_targets=false", "generate.prompts=[河]"]
    whole = _run(session, quick_config(few_rows, *off))
    assert "all blocks are computed in every step: train.trunk_cache=false" in capsys.readouterr().err
    assert _losses(ours) == pytest.approx(_losses(whole), abs=1e-4)
    samples = [json.loads((each.folder / "samples.jsonl").read_text("utf-8"))["text"] for each in (ours, whole)]
    assert samples[0] == samples[1]


@pytest.mark.parametrize("off", ["trunk_cache", "head_on_targets", "last_block_on_targets"])
def test_each_thing_that_is_left_out_can_be_computed_alone(
    session: Session, quick_config: Quick, few_rows: str, off: str
) -> None:
    ours = _run(session, quick_config(few_rows, "generate.prompts=[]"))
    with_it = _run(session, quick_config(few_rows, "generate.prompts=[]", f"train.{off}=false"))
    assert _losses(ours) == pytest.approx(_losses(with_it), abs=1e-4)


def test_the_head_goes_in_chunks_unless_it_is_not_to(
    session: Session, quick_config: Quick, few_rows: str, base: Base
) -> None:
    assert _engine(session, quick_config(few_rows)).chunk == head_chunk(base.vocabulary)
    assert _engine(session, quick_config(few_rows, "train.head_in_chunks=false")).chunk is None


def _engine(session: Session, config: Config, compare: Compare = disagreement) -> Engine:
    """What a run of this config trains with."""
    inputs = gather_inputs(config, session)
    model = inputs.base.model
    with attached(model, inputs.spec, seed=0):
        shape = shape_of(model, inputs.spec, inputs.base.settings)
        cut = planned_cut(config, inputs, shape, free_disk=session.trunks.free_disk())
        return prepare_engine(config, inputs, cut, session, compare)


def _losses(done: FinishedRun) -> list[float]:
    report = json.loads((done.folder / "report.json").read_text("utf-8"))
    return [score["loss"] for score in report["validations"]]


@pytest.mark.parametrize(
    ("overrides", "reason"),
    [
        (["lora.num_layers=8"], "every block is adapted, or a layer outside the blocks"),
        (["train.iters=3"], "less than an epoch to train"),
        (["train.neftune_alpha=5"], "train.neftune_alpha=5 puts other noise on the embeddings each time"),
    ],
)
def test_what_keeps_all_blocks_in_every_step_is_said(
    session: Session,
    quick_config: Quick,
    few_rows: str,
    capsys: Said,
    overrides: list[str],
    reason: str,
) -> None:
    _run(session, quick_config(few_rows, "generate.prompts=[]", *overrides))
    assert f"all blocks are computed in every step: {reason}" in capsys.readouterr().err


def test_rows_that_would_take_too_much_disk_are_not_kept(
    session: Session, quick_config: Quick, few_rows: str, capsys: Said
) -> None:
    config = quick_config(few_rows, "generate.prompts=[]", "train.trunk_cache_gb=1e-6")
    _run(session, config)
    assert "would take 0.0 GB, beyond train.trunk_cache_gb=1e-06" in capsys.readouterr().err
    config = quick_config(few_rows)
    inputs = gather_inputs(config, session)
    with attached(inputs.base.model, inputs.spec, seed=0):
        shape = shape_of(inputs.base.model, inputs.spec, inputs.base.settings)
        need = sum(hidden_bytes(split.rows, shape.hidden, shape.item) for split in inputs.splits)
        assert planned_cut(config, inputs, shape, free_disk=2 * need) == (6, "")
        at, why = planned_cut(config, inputs, shape, free_disk=2 * need - 1)
    assert at == 0 and "make of the rows needs 0.0 GB of disk, but 0.0 GB are free" in why


def test_a_model_that_does_not_bear_the_cut_is_trained_whole(
    session: Session, quick_config: Quick, few_rows: str, capsys: Said
) -> None:
    engine = _engine(session, quick_config(few_rows), lambda *_: "the loss differs by 1 of 2")
    said = capsys.readouterr().err
    assert "all blocks are computed in every step: this model cannot be cut, the loss differs by 1 of 2" in said
    assert "the head is computed for all positions: the loss differs by 1 of 2" in said
    assert engine == WHOLE_MODEL


def test_comparing_with_the_whole_model_does_not_hold_all_of_it(
    fresh: Callable[[], Session],
    quick_config: Quick,
    few_rows: str,
    base: Base,
    tmp_path: Path,
) -> None:
    """Blocks so large that they are much of what is needed."""
    shutil.copytree(base.folder, tmp_path / "model")
    config = base.settings | {"intermediate_size": 8192}
    (tmp_path / "model" / "config.json").write_text(json.dumps(config), encoding="utf-8")
    model = Model(ModelArgs.from_dict(config))
    weights = dict(tree_flatten(model.parameters()))
    mx.save_safetensors(str(tmp_path / "model" / "model.safetensors"), weights, {"format": "mlx"})
    block = sum(value.nbytes for _, value in tree_flatten(model.layers[0].parameters()))
    training = quick_config(few_rows, f"model.path={tmp_path / 'model'}")

    def holding(model: Any, engine: Engine, rows: Sequence[Row], release: Callable[[], None]) -> str | None:
        return disagreement(model, engine, rows)

    peaks = []
    for compare in (disagreement, holding):
        begin_phase()
        _engine(fresh(), training, compare)
        peaks.append(mx.get_peak_memory())
    assert peaks[0] < peaks[1] - 3 * block


def test_training_takes_the_same_memory_whether_the_frozen_blocks_were_computed_or_read(
    fresh: Callable[[], Session], quick_config: Quick, few_rows: str
) -> None:
    """What lies outside the blocks, not read yet when a step is compiled, was read again in each."""
    first, second = (_run(fresh(), quick_config(few_rows, "generate.prompts=[]")) for _ in range(2))
    assert second.outcome.peak_gb == pytest.approx(first.outcome.peak_gb, rel=0.02)


def test_what_agrees_alone_but_not_together_is_computed(
    session: Session, quick_config: Quick, few_rows: str, capsys: Said
) -> None:
    def together(model: object, engine: Engine, *_: object) -> str | None:
        return "the loss differs by 1 of 2" if engine.at and engine.on_targets else None

    assert _engine(session, quick_config(few_rows), together) == WHOLE_MODEL
    assert "all blocks are computed in every step: the loss differs by 1 of 2" in capsys.readouterr().err


def test_an_interrupted_run_goes_on_to_the_same_bytes(
    session: Session, fresh: Callable[[], Session], quick_config: Quick, few_rows: str
) -> None:
    overrides = [few_rows, "name=interrupted", "lora.dropout=0.1", "generate.prompts=[]", "train.resume=auto"]
    with pytest.raises(KeyboardInterrupt):
        _run(session, quick_config(*overrides), at_update(5, interrupt))
    resumed = _run(fresh(), quick_config(*overrides))
    whole = _run(fresh(), quick_config(*overrides[:-1]))
    assert resumed.run_id != whole.run_id
    assert equal_weights(_weights(resumed), _weights(whole))


def test_runs_of_one_process_share_what_the_frozen_blocks_made_and_end_as_if_alone(
    session: Session, fresh: Callable[[], Session], quick_config: Quick, few_rows: str, capsys: Said
) -> None:
    shared, seconds = [], []
    for rank, rows in ((4, 2), (8, 3), (4, 2)):
        shared.append(_run(session, quick_config(few_rows, f"lora.rank={rank}", f"train.batch_size={rows}")))
        seconds.append(session.trunks.seconds)
    assert capsys.readouterr().err.count("computing the 6 frozen blocks") == 2, "train and valid, once each"
    assert seconds[0] == seconds[1] == seconds[2] > 0, "nor read again"
    alone = _run(fresh(), quick_config(few_rows, "lora.rank=4"))
    assert equal_weights(_weights(shared[0]), _weights(shared[2]))
    assert equal_weights(_weights(shared[0]), _weights(alone))


def test_a_step_holds_no_weights_below_the_cut(session: Session, quick_config: Quick, few_rows: str) -> None:
    model = session.base(quick_config().model).model
    below = sum(v.nbytes for block in model.layers[:6] for _, v in tree_flatten(block.parameters()))
    held: list[int] = []

    for override in ("train.trunk_cache=false", "train.trunk_cache=auto"):
        config = quick_config(few_rows, "lora.rank=1", "lora.keys=[q_proj]", override)
        _run(session, config, at_update(5, lambda: held.append(mx.get_active_memory())))
    assert held[1] < held[0] - 0.8 * below


def test_a_later_process_reads_what_an_earlier_one_computed(
    fresh: Callable[[], Session], quick_config: Quick, few_rows: str, capsys: Said
) -> None:
    first = _run(fresh(), quick_config(few_rows))
    assert "computing the 6 frozen blocks" in capsys.readouterr().err
    second = _run(fresh(), quick_config(few_rows))
    assert "computing the" not in capsys.readouterr().err
    assert equal_weights(_weights(first), _weights(second))


@pytest.fixture
def other_base(base: Base, tmp_path: Path) -> str:
    """The base with other weights in two of its frozen blocks."""
    folder = Path(shutil.copytree(base.folder, tmp_path / "other"))
    times_3(folder, r"layers\.[12]\.mlp")
    return f"model.path={folder}"


def test_a_base_with_other_frozen_blocks_gets_its_own_losses(
    fresh: Callable[[], Session], quick_config: Quick, few_rows: str, other_base: str
) -> None:
    """Its run took what the first had kept, and reported the other model's losses."""
    one = _run(fresh(), quick_config(few_rows, "generate.prompts=[]"))
    other = _run(fresh(), quick_config(few_rows, "generate.prompts=[]", other_base))
    whole = _run(fresh(), quick_config(few_rows, "generate.prompts=[]", other_base, "train.trunk_cache=false"))
    assert _losses(other) == pytest.approx(_losses(whole), abs=1e-4)
    assert all(abs(a - b) > 1e-3 for a, b in zip(_losses(one), _losses(other), strict=True))


def test_what_is_kept_of_another_model_is_noticed_whatever_the_reason(
    fresh: Callable[[], Session], quick_config: Quick, few_rows: str, other_base: str, tmp_path: Path, capsys: Said
) -> None:
    """Its checksums fit, the model does not: the kept rows of two bases change places."""
    kept = tmp_path / "trunks"
    one = _run(fresh(), quick_config(few_rows, "generate.prompts=[]"))
    first = {folder.name for folder in kept.iterdir()}
    _run(fresh(), quick_config(few_rows, "generate.prompts=[]", other_base))
    second = [folder for folder in kept.iterdir() if folder.name not in first]
    for name, other in zip(sorted(first, key=lambda each: _size(kept / each)), sorted(second, key=_size), strict=True):
        assert _size(kept / name) == _size(other)
        shutil.rmtree(kept / name)
        other.rename(kept / name)
    capsys.readouterr()
    again = _run(fresh(), quick_config(few_rows, "generate.prompts=[]"))
    said = capsys.readouterr().err
    for name in ("train", "valid"):
        assert f"warning: what is kept of {name}.jsonl does not fit this model, it differs by" in said
    assert equal_weights(_weights(one), _weights(again))


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.glob("*.bin"))


@pytest.fixture(scope="module")
def hybrid(base: Base, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A base whose blocks have a gated delta rule and attention in turn."""
    folder = Path(shutil.copytree(base.folder, tmp_path_factory.mktemp("hybrid") / "model"))
    module = import_module("mlx_lm.models.qwen3_5")
    config = {**settings_of("qwen3_5")["text_config"], "model_type": "qwen3_5", "vocab_size": base.vocabulary}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    weights = dict(tree_flatten(module.Model(module.ModelArgs.from_dict(config)).parameters()))
    mx.save_safetensors(str(folder / "model.safetensors"), weights, {"format": "mlx"})
    return f"model.path={folder}"


def test_a_recurrence_goes_in_chunks_where_that_agrees_and_is_wanted(
    session: Session, quick_config: Quick, few_rows: str, hybrid: str, capsys: Said
) -> None:
    def agree(*_: object) -> None:
        return None

    def differ(model: object, engine: Engine, *_: object) -> str | None:
        return "the loss differs by 1 of 2" if engine.chunked else None

    assert _engine(session, quick_config(few_rows, hybrid), agree).chunked
    assert not _engine(session, quick_config(few_rows), agree).chunked, "it has no recurrence"
    session.disagreements.clear()
    config = quick_config(few_rows, hybrid)
    engine = _engine(session, config, differ)
    assert (engine.at, engine.on_targets, engine.chunked) == (2, True, False)
    assert "the recurrence is computed token by token: the loss differs by 1 of 2" in capsys.readouterr().err
    off = quick_config(few_rows, hybrid, "train.chunked_recurrence=false")
    assert not _engine(session, off, agree).chunked
    said = capsys.readouterr().err
    assert "warning: token by token, gated delta rules need several times the memory that was predicted" in said


def test_a_hybrid_run_trains_validates_and_tests_in_chunks(
    session: Session, quick_config: Quick, few_rows: str, hybrid: str, tmp_path: Path, capsys: Said
) -> None:
    shutil.copy(tmp_path / "valid.jsonl", tmp_path / "test.jsonl")
    words = [few_rows, hybrid, "lora.keys=null", "train.test=true", "generate.prompts=[]", "train.valid_rows=null"]
    done = _run(session, quick_config(*words))
    said = capsys.readouterr().err
    assert "steps begin at block 2 of 4" in said and "token by token" not in said
    assert done.outcome.last.loss != done.outcome.start.loss
    assert done.totals["test/loss"] == pytest.approx(done.outcome.best.loss, abs=1e-5), "the same rows"
