"""Hybrid models train in chunks as they train token by token, with all that a step can leave out."""

import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from mlx.utils import tree_map
from mlx_lm.models import gated_delta

from harness.data.dataset import Row, Split
from harness.models.adapter import adapter_weights, attached, equal_weights
from harness.models.adapter_files import AdapterSpec
from harness.models.randomness import seeded
from harness.tuning.engine import RECURRENT_ROW, WHOLE_MODEL, Engine, checked_rows, disagreement
from harness.tuning.hidden import compute_hidden
from harness.tuning.loop import Outcome, train
from harness.tuning.recurrence import chunked_recurrence, has_gated_delta
from harness.tuning.state import LoopState
from tests.conftest import compose_config
from tests.tuning.test_memory import Silent
from tools.architectures.tiny import settings_of, tiny_model

HYBRIDS = ["qwen3_5", "qwen3_next", "kimi_linear", "olmo_hybrid", "bailing_moe_v3"]
EVERYTHING = Engine(2, True, True, 16, chunked=True)
_QWEN = ["linear_attn.in_proj_qkv", "linear_attn.out_proj", "self_attn.q_proj", "self_attn.v_proj"]
SPEC = AdapterSpec("lora", 4, 10.0, 0.0, 2, _QWEN, None, None)


@pytest.fixture(autouse=True)
def uncompiled() -> Iterator[None]:
    """Kernels of a model that is used once cost more to compile than they spare."""
    mx.disable_compile()
    yield
    mx.enable_compile()


@pytest.fixture(scope="module")
def qwen() -> nn.Module:
    return _qwen()


def _qwen() -> nn.Module:
    """Four blocks: gated delta, attention, and again. Without experts, of which MLX's CPU backend has float32 only."""
    module = import_module("mlx_lm.models.qwen3_5")
    settings = {**settings_of("qwen3_5")["text_config"], "model_type": "qwen3_5", "num_experts": 0}
    model: nn.Module = module.Model(module.ModelArgs.from_dict(settings))
    with seeded(7):
        model.update(tree_map(lambda value: 0.1 * mx.random.normal(value.shape), model.parameters()))
        mx.eval(model.parameters())
    model.freeze()
    model.eval()
    return model


def _rows(count: int = 4) -> list[Row]:
    rng = np.random.default_rng(0)
    lengths = rng.integers(18, 33, count).tolist()
    return [
        Row(rng.integers(1, 250, length).astype(np.int32), np.arange(length) >= length // 2, line)
        for line, length in enumerate(lengths, start=1)
    ]


def _splits() -> list[Split]:
    return [Split(name, Path(name), _rows(), 0, []) for name in ("train", "valid")]


@contextmanager
def _adapted(model: nn.Module, spec: AdapterSpec = SPEC) -> Iterator[nn.Module]:
    """With an adapter that is not zero, so that all of it has a gradient."""
    with attached(model, spec, seed=1):
        rng = np.random.default_rng(3)
        drawn = {key: 0.1 * rng.normal(size=value.shape) for key, value in adapter_weights(model).items()}
        model.load_weights([(key, mx.array(value, mx.float32)) for key, value in drawn.items()], strict=False)
        yield model


def _keys(model: nn.Module) -> list[str]:
    """Projections of the last two blocks, recurrent ones too."""
    names = {name for block in model.layers[2:] for name, _ in block.named_modules()}
    return sorted(name for name in names if name.split(".")[-1] in ("q_proj", "in_proj_qkv", "in_proj_qkvz", "b_proj"))


@pytest.mark.parametrize("name", HYBRIDS)
def test_each_architecture_computes_in_chunks_what_it_computes_token_by_token(name: str) -> None:
    model, _ = tiny_model(name)
    assert has_gated_delta(model)
    with _adapted(model, dataclasses.replace(SPEC, keys=_keys(model))):
        assert disagreement(model, Engine(2, True, chunked=True), _rows()) is None
        tokens = mx.array(np.stack([row.tokens[:18] for row in _rows()]))
        loop = model(tokens)
        with chunked_recurrence(True):
            ours = model(tokens)
        assert mx.allclose(loop, ours, rtol=1e-4, atol=1e-4).item()
        assert not mx.array_equal(loop, ours).item(), "it was computed another way"


def test_other_models_have_none() -> None:
    assert not has_gated_delta(tiny_model("qwen3")[0])
    assert not has_gated_delta(tiny_model("falcon_h1")[0]), "another recurrence, that mlx-lm computes in chunks"


def test_the_loop_is_back_afterwards_whatever_happened() -> None:
    loop = gated_delta.gated_delta_ops
    with pytest.raises(ValueError, match="x"), chunked_recurrence(True):
        assert gated_delta.gated_delta_ops is not loop
        raise ValueError("x")
    with chunked_recurrence(False):
        assert gated_delta.gated_delta_ops is loop
    assert gated_delta.gated_delta_ops is loop


@pytest.mark.parametrize("kind", ["float32", "bfloat16", "4-bit"])
def test_everything_left_out_agrees_with_the_whole_model(kind: str) -> None:
    model = _qwen()
    if kind != "float32":
        model.set_dtype(mx.bfloat16)
    if kind == "4-bit":
        nn.quantize(model, group_size=32, bits=4)
        model.freeze()
    with _adapted(model):
        assert disagreement(model, EVERYTHING, _rows()) is None


def test_a_chunk_that_is_computed_wrongly_is_found(qwen: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here the loop is: it forgets nothing."""
    loop = gated_delta.gated_delta_ops
    monkeypatch.setattr(gated_delta, "gated_delta_ops", lambda q, k, v, g, *rest: loop(q, k, v, mx.ones_like(g), *rest))
    with _adapted(qwen):
        said = disagreement(qwen, Engine(chunked=True), _rows())
        assert said is not None and " differs by " in said


def test_what_only_evaluation_computes_needs_no_gradient(qwen: nn.Module) -> None:
    """As Metal's kernel, which has none."""
    kind = type(qwen.layers[2])

    class OnMetal(kind):  # type: ignore[misc, valid-type]
        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            y = super().__call__(*args, **kwargs)
            if self.training:
                return y
            kernel: Any = mx.custom_function(lambda x: x)
            kernel.vjp(lambda *_: (_ for _ in ()).throw(ValueError("no gradient")))
            return kernel(y)

    with _adapted(qwen):
        qwen.layers[2].__class__ = OnMetal
        try:
            assert disagreement(qwen, EVERYTHING, _rows()) is None
        finally:
            qwen.layers[2].__class__ = kind
        assert not qwen.training


def test_dropout_draws_nothing_while_steps_are_compared(qwen: nn.Module) -> None:
    with _adapted(qwen, dataclasses.replace(SPEC, dropout=0.5)):
        before = mx.array(mx.random.state[0])
        assert disagreement(qwen, EVERYTHING, _rows()) is None
        assert mx.array_equal(before, mx.random.state[0]).item()


def test_of_long_rows_the_end_of_what_is_learned_is_compared() -> None:
    """From token to token each keeps as much as a state does."""
    learn = np.zeros(200, np.bool_)
    learn[90:120] = True
    rows = [Row(np.arange(200, dtype=np.int32), learn, 1), _rows()[0]]
    short, long = checked_rows(rows, RECURRENT_ROW)
    assert len(short.tokens) == len(_rows()[0].tokens)
    assert len(long.tokens) == RECURRENT_ROW and long.tokens[-1] == 119 and long.learn[-1]
    assert len(checked_rows(rows)[1].tokens) == 200


def test_kept_hidden_states_are_those_of_training(qwen: nn.Module, tmp_path: Path) -> None:
    """The frozen blocks run as in evaluation, in chunks; mlx-lm's training runs them token by token."""
    rows = _rows()
    with _adapted(qwen):
        kept = {}
        for chunked in (False, True):
            with chunked_recurrence(chunked):
                kept[chunked] = compute_hidden(qwen, 2, rows, tmp_path / str(chunked)).batch(rows, 32)
        assert mx.allclose(kept[False], kept[True], rtol=1e-4, atol=1e-4).item()


class Kept(Silent):
    def __init__(self) -> None:
        self.states: dict[int, LoopState] = {}

    def on_score(self, score: Any, state: LoopState | None, *, best: bool) -> None:
        if state is not None:
            self.states[score.step] = state


def _trained(
    model: nn.Module, engine: Engine, spec: AdapterSpec, words: Sequence[str], folder: Path, resume: int | None = None
) -> tuple[Outcome, dict[str, mx.array], Kept]:
    settings = compose_config("train.batch_size=2", "train.learning_rate=1e-3", "train.save_every=2", *words).train
    splits, watcher = _splits(), Kept()
    with attached(model, spec, seed=1):
        if engine.at:
            with chunked_recurrence(engine.chunked):
                kept = {each.name: compute_hidden(model, engine.at, each.rows, folder / each.name) for each in splits}
            engine = dataclasses.replace(engine, hidden=kept)
        outcome = train(model, splits[0], splits[1], settings, watcher, engine=engine)
        weights = adapter_weights(model)
        if resume is not None:
            train(model, splits[0], splits[1], settings, Silent(), engine=engine, resume=watcher.states[resume])
            assert equal_weights(weights, adapter_weights(model)), "resumed"
    return outcome, weights, watcher


@pytest.mark.parametrize(
    ("adapter", "words"),
    [
        ({"dropout": 0.2}, ["train.grad_accumulation_steps=2"]),
        ({"fine_tune_type": "dora"}, []),
        ({}, ["train.grad_checkpoint=true"]),
    ],
    ids=["dropout and accumulation", "DoRA", "checkpointing"],
)
def test_training_in_chunks_ends_as_token_by_token_and_resumes_to_the_byte(
    qwen: nn.Module, adapter: dict[str, Any], words: list[str], tmp_path: Path
) -> None:
    spec = dataclasses.replace(SPEC, **adapter)
    words = ["train.iters=4", *words]
    loop, theirs, _ = _trained(qwen, WHOLE_MODEL, spec, words, tmp_path)
    engine = dataclasses.replace(EVERYTHING, narrow=spec.dropout == 0)
    ours, weights, _ = _trained(qwen, engine, spec, words, tmp_path, resume=2)
    assert ours.last.loss == pytest.approx(loop.last.loss, abs=1e-4) and ours.last.loss < ours.start.loss
    for key, value in theirs.items():
        assert mx.allclose(value, weights[key], rtol=1e-2, atol=1e-3).item(), key


@pytest.mark.slow
def test_fifty_updates_in_chunks_end_where_those_token_by_token_do(qwen: nn.Module, tmp_path: Path) -> None:
    words = ["train.iters=50", "train.learning_rate=5e-3"]
    loop, _, _ = _trained(qwen, WHOLE_MODEL, SPEC, words, tmp_path)
    ours, _, _ = _trained(qwen, EVERYTHING, SPEC, words, tmp_path)
    assert loop.last.loss < loop.start.loss - 0.02
    assert ours.last.loss == pytest.approx(loop.last.loss, abs=1e-4)
