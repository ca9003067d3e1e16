"""Runs that begin their steps at the first adapted block: the same results, computed once, nothing else held."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mlx.core as mx
import pytest
from mlx.utils import tree_flatten
from mlx_lm.models.qwen2 import Model, ModelArgs

import harness.run.shortcuts
import harness.tuning.trunk_cache
from harness.config.schema import Config, TrackingConfig
from harness.console.progress import Display
from harness.data.dataset import Split
from harness.errors import HarnessError
from harness.models.adapter import equal_weights
from harness.models.base import Base
from harness.run.context import RunPlace
from harness.run.pipeline import FinishedRun, train_run
from harness.run.session import Session
from harness.run.watcher import RunWatcher
from harness.tracking.store import Store, open_store
from harness.tuning import engine, hidden
from harness.tuning.engine import Engine
from harness.tuning.hidden import HiddenRows, compute_hidden
from harness.tuning.trunk_cache import Trunks
from tests.models.changed import times_3

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


def _run(session: Session, config: Config) -> FinishedRun:
    return train_run(config, session, RunPlace())


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


@pytest.mark.parametrize("off", ["trunk_cache", "head_on_targets", "head_in_chunks", "last_block_on_targets"])
def test_each_thing_that_is_left_out_can_be_computed_alone(
    session: Session, quick_config: Quick, few_rows: str, off: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_HEAD_BYTES", 0)  # so that this small vocabulary goes through the head in chunks
    ours = _run(session, quick_config(few_rows, "generate.prompts=[]"))
    with_it = _run(session, quick_config(few_rows, "generate.prompts=[]", f"train.{off}=false"))
    assert _losses(ours) == pytest.approx(_losses(with_it), abs=1e-4)


def _losses(done: FinishedRun) -> list[float]:
    report = json.loads((done.folder / "report.json").read_text("utf-8"))
    return [score["loss"] for score in report["validations"]]


@pytest.mark.parametrize(
    ("overrides", "reason"),
    [
        (["lora.num_layers=8"], "every block is adapted, or a layer outside the blocks"),
        (["train.iters=3"], "less than an epoch to train"),
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
    session: Session, quick_config: Quick, few_rows: str, capsys: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    _run(session, quick_config(few_rows, "generate.prompts=[]", "train.trunk_cache_gb=1e-6"))
    assert "would take 0.0 GB, beyond train.trunk_cache_gb=1e-06" in capsys.readouterr().err
    monkeypatch.setattr(harness.run.shortcuts.shutil, "disk_usage", lambda _: SimpleNamespace(free=1e5))
    with pytest.raises(HarnessError, match="make room"):  # nor are checkpoints
        _run(session, quick_config(few_rows, "generate.prompts=[]"))


def test_a_model_that_does_not_bear_the_cut_is_trained_whole(
    session: Session,
    quick_config: Quick,
    few_rows: str,
    capsys: Said,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(harness.run.shortcuts, "disagreement", lambda *_: "the loss differs by 1 of 2")
    done = _run(session, quick_config(few_rows, "generate.prompts=[]"))
    said = capsys.readouterr().err
    assert "all blocks are computed in every step: this model cannot be cut, the loss differs by 1 of 2" in said
    assert "the head is computed for all positions: the loss differs by 1 of 2" in said
    assert done.outcome.best.loss < done.outcome.start.loss


def test_comparing_with_the_whole_model_does_not_hold_all_of_it(
    fresh: Callable[[], Session],
    quick_config: Quick,
    few_rows: str,
    base: Base,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Blocks so large that they are much of what is needed."""
    shutil.copytree(base.folder, tmp_path / "model")
    config = base.settings | {"intermediate_size": 8192}
    (tmp_path / "model" / "config.json").write_text(json.dumps(config), encoding="utf-8")
    model = Model(ModelArgs.from_dict(config))
    weights = dict(tree_flatten(model.parameters()))
    mx.save_safetensors(str(tmp_path / "model" / "model.safetensors"), weights, {"format": "mlx"})
    block = sum(value.nbytes for _, value in tree_flatten(model.layers[0].parameters()))
    peaks = []
    for release in (harness.run.shortcuts._release, lambda *_: None):
        monkeypatch.setattr(harness.run.shortcuts, "_release", release)
        done = _run(fresh(), quick_config(few_rows, f"model.path={tmp_path / 'model'}", "generate.prompts=[]"))
        totals = json.loads((done.folder / "report.json").read_text("utf-8"))["totals"]
        peaks.append(totals["memory/preparing_peak_gb"] * 1e9)
    assert peaks[0] < peaks[1] - 3 * block


def test_training_takes_the_same_memory_whether_the_frozen_blocks_were_computed_or_read(
    fresh: Callable[[], Session], quick_config: Quick, few_rows: str
) -> None:
    """What lies outside the blocks, not read yet when a step is compiled, was read again in each."""
    first, second = (_run(fresh(), quick_config(few_rows, "generate.prompts=[]")) for _ in range(2))
    assert second.outcome.peak_gb == pytest.approx(first.outcome.peak_gb, rel=0.02)


def test_what_agrees_alone_but_not_together_is_computed(
    session: Session, quick_config: Quick, few_rows: str, capsys: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    def together(model: object, engine: Engine, *_: object) -> str | None:
        return "the loss differs by 1 of 2" if engine.at and engine.on_targets else None

    monkeypatch.setattr(harness.run.shortcuts, "disagreement", together)
    _run(session, quick_config(few_rows, "generate.prompts=[]"))
    assert "all blocks are computed in every step: the loss differs by 1 of 2" in capsys.readouterr().err


def test_an_interrupted_run_goes_on_to_the_same_bytes(
    session: Session, fresh: Callable[[], Session], quick_config: Quick, few_rows: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    overrides = [few_rows, "name=interrupted", "lora.dropout=0.1", "generate.prompts=[]", "train.resume=auto"]
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(RunWatcher, "on_update", _interrupt_at_5)
        _run(session, quick_config(*overrides))
    resumed = _run(fresh(), quick_config(*overrides))
    whole = _run(fresh(), quick_config(*overrides[:-1]))
    assert resumed.run_id != whole.run_id
    assert equal_weights(_weights(resumed), _weights(whole))


def _interrupt_at_5(self: RunWatcher, at: int, loss: float) -> None:
    if at == 5:
        raise KeyboardInterrupt


def test_runs_of_one_process_share_what_the_frozen_blocks_made_and_end_as_if_alone(
    session: Session, fresh: Callable[[], Session], quick_config: Quick, few_rows: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed: list[int] = []
    compute = harness.tuning.trunk_cache.compute_hidden

    def counted(model: Any, at: int, *args: Any, **kwargs: Any) -> Any:
        computed.append(at)
        return compute(model, at, *args, **kwargs)

    monkeypatch.setattr(harness.tuning.trunk_cache, "compute_hidden", counted)
    shared = [
        _run(session, quick_config(few_rows, f"lora.rank={rank}", f"train.batch_size={rows}"))
        for rank, rows in ((4, 2), (8, 3), (4, 2))
    ]
    assert computed == [6, 6], "train and valid, once each"
    alone = _run(fresh(), quick_config(few_rows, "lora.rank=4"))
    assert equal_weights(_weights(shared[0]), _weights(shared[2]))
    assert equal_weights(_weights(shared[0]), _weights(alone))


def test_a_step_holds_no_weights_below_the_cut(
    session: Session, quick_config: Quick, few_rows: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = session.base(quick_config().model).model
    below = sum(v.nbytes for block in model.layers[:6] for _, v in tree_flatten(block.parameters()))
    held: list[int] = []

    def watched(self: RunWatcher, at: int, loss: float) -> None:
        if at == 5:
            held.append(mx.get_active_memory())

    monkeypatch.setattr(RunWatcher, "on_update", watched)
    for override in ("train.trunk_cache=false", "train.trunk_cache=auto"):
        _run(session, quick_config(few_rows, "lora.rank=1", "lora.keys=[q_proj]", override))
    assert held[1] < held[0] - 0.8 * below


def test_a_later_process_reads_what_an_earlier_one_computed(
    fresh: Callable[[], Session], quick_config: Quick, few_rows: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = _run(fresh(), quick_config(few_rows))
    through = _counted(monkeypatch)
    second = _run(fresh(), quick_config(few_rows))
    assert through == []
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


def _counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The blocks that rows are taken through from now on."""
    through: list[int] = []
    one = hidden._through_block

    def counted(model: Any, block: int, *args: Any) -> Any:
        through.append(block)
        return one(model, block, *args)

    monkeypatch.setattr(hidden, "_through_block", counted)
    return through


def _compute(base: Base, split: Split, folder: Path, at: int) -> HiddenRows:
    return compute_hidden(base.model, at, split.rows, folder)


def test_a_deeper_cut_begins_with_a_shallower_one_and_keeps_it(
    base: Base, splits: tuple[Split, Split], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = _compute(base, splits[1], tmp_path / "whole", 5)
    _compute(base, splits[1], tmp_path / "steps", 3)
    through = _counted(monkeypatch)
    deeper = _compute(base, splits[1], tmp_path / "steps", 5)
    assert through == [3, 4]
    assert (deeper.bits == whole.bits).all()
    names = sorted(path.name for path in (tmp_path / "steps").glob("cut-*"))
    assert names == ["cut-0003.bin", "cut-0003.json", "cut-0005.bin", "cut-0005.json"]


def test_an_interrupted_computation_goes_on_where_it_was(
    base: Base, splits: tuple[Split, Split], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(done: int, total: int) -> None:
        if done > 0.6 * total:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compute_hidden(base.model, 5, splits[1].rows, tmp_path / "cut", on_batch=interrupt)
    through = _counted(monkeypatch)
    gone_on = _compute(base, splits[1], tmp_path / "cut", 5)
    assert through == [3, 4]
    assert (gone_on.bits == _compute(base, splits[1], tmp_path / "whole", 5).bits).all()


@pytest.mark.parametrize("damage", ["bit", "cut", "index", "rows"])
def test_a_damaged_file_is_noticed_and_computed_anew(
    damage: str, base: Base, splits: tuple[Split, Split], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = _compute(base, splits[1], tmp_path, 2).bits.copy()
    file = tmp_path / ("cut-0002.json" if damage in ("index", "rows") else "cut-0002.bin")
    content = bytearray(file.read_bytes())
    if damage == "bit":
        content[1234] ^= 1
    elif damage == "rows":
        index = json.loads(content)
        content = bytearray(json.dumps(index | {"checksums": index["checksums"][1:]}).encode())
    else:
        del content[len(content) // 2 :]
    file.write_bytes(content)
    through = _counted(monkeypatch)
    assert (_compute(base, splits[1], tmp_path, 2).bits == good).all()
    assert through == [0, 1]


def test_two_processes_do_not_compute_the_same_twice(few_rows: str, tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
import harness.models
from harness.config.schema import ModelConfig
from harness.data.dataset import load_split
from harness.models.base import open_base
from harness.tuning import engine, hidden
from harness.tuning.engine import Engine
one = hidden._through_block
def told(model, block, *args):
    print(block)
    return one(model, block, *args)
hidden._through_block = told
base = open_base(ModelConfig(path="builtin:tiny", revision=None))
split = load_split(Path(sys.argv[1]), "train", base.tokenizer, labels=None, max_seq_length=96, mask_prompt=True)
hidden.compute_hidden(base.model, 4, split.rows, Path(sys.argv[2]))
"""
    words = [sys.executable, "-c", code, few_rows.partition("=")[2], str(tmp_path / "shared")]
    processes = [subprocess.Popen(words, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate()[0].split() for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert sorted(said) == [[], ["0", "1", "2", "3"]]


def test_what_was_longest_unused_goes_first(tmp_path: Path) -> None:
    for age, name in enumerate(("new", "old", "oldest")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "cut-0001.bin").write_bytes(b"x" * 100)
        os.utime(tmp_path / name, (1000 - age, 1000 - age))
    trunks = Trunks(tmp_path)
    trunks.keep_under(250)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "old"]
    trunks.keep_under(10)
    assert [path.name for path in tmp_path.iterdir()] == ["new"], "what is in use stays"
