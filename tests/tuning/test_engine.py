"""A step that leaves out the frozen blocks and the head on prompts gives what the whole model gives."""

import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from mlx.utils import tree_flatten

from harness.data.dataset import Row, Split
from harness.models.adapter import adapter_weights, attached, equal_weights
from harness.models.adapter_files import AdapterSpec
from harness.models.base import Base
from harness.tuning.batches import Batcher, padded_tokens
from harness.tuning.cut import Tail, between
from harness.tuning.engine import WHOLE_MODEL, Engine, disagreement, first_adapted
from harness.tuning.hidden import compute_hidden
from harness.tuning.loop import train
from harness.tuning.loss import loss_sum
from harness.tuning.process import dequantized_blocks
from tests.conftest import compose_config
from tests.tuning.architectures import ARCHITECTURES, make_model
from tests.tuning.test_memory import Silent

# MLX's CPU backend multiplies by a choice of experts in float32 and in 4 bits only
CASES = [
    (name, kind)
    for name in ARCHITECTURES
    for kind in ("float32", "bfloat16", "4-bit")
    if (name, kind) not in (("qwen3_moe", "bfloat16"), ("mixtral", "bfloat16")) or mx.default_device() == mx.gpu
]
SPEC = AdapterSpec("lora", 4, 10.0, 0.0, 2, ["self_attn.q_proj", "self_attn.v_proj"], None, None)


def _rows(count: int = 4, seed: int = 0) -> list[Row]:
    rng = np.random.default_rng(seed)
    lengths = rng.integers(6, 30, count)
    return [
        Row(rng.integers(1, 256, length).astype(np.int32), np.arange(length) >= length // 2, line)
        for line, length in enumerate(lengths.tolist(), start=1)
    ]


@contextmanager
def _adapted(name: str, kind: str, spec: AdapterSpec = SPEC) -> Iterator[nn.Module]:
    """With an adapter that is not zero, so that all of it has a gradient."""
    model = make_model(name, kind)
    with attached(model, spec, seed=1):
        weights = {key: 0.1 * mx.ones_like(value) for key, value in adapter_weights(model).items()}
        noise = np.random.default_rng(3)
        weights = {
            key: value * mx.array(noise.normal(size=value.shape)).astype(value.dtype) for key, value in weights.items()
        }
        model.load_weights(list(weights.items()), strict=False)
        yield model


def _step(model: nn.Module, engine: Engine, rows: Sequence[Row]) -> dict[str, mx.array]:
    batch, hidden = Batcher(engine.on_targets)(rows), None
    if engine.at:
        with between(model, 0, engine.at) as compute:
            hidden = compute(mx.array(padded_tokens(rows)[:, :-1]), None)
    tail = engine.tail(model)
    with tail.in_place():
        function: Any = nn.value_and_grad(model, partial(loss_sum, tail))
        (loss, _), gradients = function(batch.tokens, batch.learn, batch.chosen, batch.places, hidden)
        found = dict(tree_flatten(gradients)) | {"loss": loss}
        mx.eval(found)
    return found


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_a_cut_model_gives_the_bits_of_the_whole_one(name: str, kind: str) -> None:
    with _adapted(name, kind) as model:
        assert equal_weights(_step(model, WHOLE_MODEL, _rows()), _step(model, Engine(2), _rows()))


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_a_head_on_targets_only_gives_the_loss_and_gradients_of_the_whole_one(name: str, kind: str) -> None:
    with _adapted(name, kind) as model:
        whole, ours = _step(model, WHOLE_MODEL, _rows()), _step(model, Engine(2, True), _rows())
        # mlx-lm's loss rounds to the type of the logits, ours does not
        batch = Batcher()(_rows())
        losses = nn.losses.cross_entropy(model(batch.tokens[:, :-1]).astype(mx.float32), batch.tokens[:, 1:])
        exact = (losses * batch.learn).sum().item()
        assert ours["loss"].item() == pytest.approx(exact, rel=1e-5 if kind == "float32" else 1e-3)
        whole["loss"] = mx.array(exact)
        tolerance = 1e-4 if kind == "float32" else 3e-2
        for key, value in whole.items():
            difference = mx.linalg.norm((value - ours[key]).reshape(-1)).item()
            assert difference <= tolerance * mx.linalg.norm(value.reshape(-1)).item(), key
        assert disagreement(model, Engine(2, True), _rows()) is None


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_a_last_block_and_head_in_parts_give_the_loss_and_gradients_of_whole_ones(name: str, kind: str) -> None:
    """Also where two positions of the last chunk are learned, and where every position is."""
    learned = [np.arange(20) >= 18, np.arange(33) >= 1, np.arange(9) >= 4]
    rows = [
        Row(np.random.default_rng(line).integers(1, 256, len(learn)).astype(np.int32), learn, line)
        for line, learn in enumerate(learned)
    ]
    with _adapted(name, kind, dataclasses.replace(SPEC, keys=["self_attn.q_proj", "self_attn.o_proj"])) as model:
        for training in (False, True):
            model.train(training)
            whole = _step(model, Engine(2, True), rows)
            ours = _step(model, Engine(2, True, narrow=True, chunk=16), rows)
            for key, value in whole.items():
                difference = mx.linalg.norm((value - ours[key]).reshape(-1)).item()
                tolerance = 1e-5 if kind == "float32" else 2e-2
                assert difference <= tolerance * mx.linalg.norm(value.reshape(-1)).item(), key


def test_a_head_in_chunks_never_holds_all_logits() -> None:
    module = import_module("mlx_lm.models.llama")
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "intermediate_size": 32, "num_attention_heads": 1}
    arguments = {"model_type": "llama", **sizes, "vocab_size": 20_000, "rms_norm_eps": 1e-6}
    model = module.Model(module.ModelArgs.from_dict(arguments))
    rows = [Row(np.arange(1, 258, dtype=np.int32), np.ones(257, np.bool_), line) for line in range(4)]
    model.freeze()
    mx.eval(model.parameters())
    logits = 4 * 256 * 20_000 * 4
    with attached(model, dataclasses.replace(SPEC, num_layers=1), seed=0):
        model.train()
        peaks = []
        for chunk in (None, 64):
            mx.reset_peak_memory()
            _step(model, Engine(0, True, chunk=chunk), rows)
            peaks.append(mx.get_peak_memory() - mx.get_active_memory())
    assert peaks[0] > logits and peaks[1] < logits / 2


@pytest.mark.parametrize("name", ["qwen2", "gemma3_text", "mixtral"])
def test_dequantized_blocks_compute_the_same_and_are_quantized_again_afterwards(name: str) -> None:
    with _adapted(name, "4-bit on float32") as model:
        modules = dict(model.named_modules())
        quantized = _step(model, WHOLE_MODEL, _rows())
        with dequantized_blocks(model, enabled=True):
            plain = _step(model, WHOLE_MODEL, _rows())
            kinds = {key: type(module) for key, module in model.named_modules()}
        assert kinds["model.layers.3.self_attn.q_proj.linear"] is kinds["model.layers.2.self_attn.o_proj"] is nn.Linear
        assert kinds["model.layers.1.self_attn.o_proj"] is nn.QuantizedLinear, "it is not adapted"
        for key, value in quantized.items():
            difference = mx.linalg.norm((value - plain[key]).reshape(-1)).item()
            assert difference <= 1e-4 * mx.linalg.norm(value.reshape(-1)).item(), key
        assert all(modules[key] is module for key, module in model.named_modules())


@pytest.mark.parametrize("name", ["qwen2", "gemma3_text", "mixtral"])
def test_hidden_states_computed_block_by_block_are_those_of_one_pass(name: str, tmp_path: Path) -> None:
    model, rows = make_model(name, "float32"), sorted(_rows(4), key=lambda row: len(row.tokens))
    hidden = compute_hidden(model, 3, rows, tmp_path)
    tokens = mx.array(padded_tokens(rows)[:, :-1])
    with between(model, 0, 3) as compute:
        whole = compute(tokens, None)
    found = hidden.batch(rows, tokens.shape[1])
    for index, row in enumerate(rows):
        length = len(row.tokens) - 1
        assert mx.array_equal(found[index, :length], whole[index, :length]).item()


def test_a_model_is_what_it_was_after_a_cut() -> None:
    model = make_model("qwen2", "float32")
    tokens, kinds = mx.array([[1, 2, 3]]), [type(block) for block in model.layers]
    before = model(tokens)
    with Tail(model, 2).in_place():
        assert type(model.layers[0]) is not kinds[0]
    assert [type(block) for block in model.layers] == kinds
    assert mx.array_equal(before, model(tokens)).item()


def test_an_architecture_that_cannot_be_cut_is_found_by_the_comparison() -> None:
    """Its head also sees what the first block made."""
    with _adapted("llama", "float32") as model:

        class Skipping(type(model)):  # type: ignore[misc]
            def __call__(self, tokens: mx.array) -> mx.array:
                hidden, first = self.model.embed_tokens(tokens), None
                for block in self.layers:
                    hidden = block(hidden, "causal", None)
                    first = hidden if first is None else first
                return self.lm_head(self.model.norm(hidden + first))

        model.__class__ = Skipping
        assert disagreement(model, Engine(0, True), _rows()) is not None, "the first block's part is not chosen from"
        said = disagreement(model, Engine(2, False), _rows())
        assert said is not None and " differs by " in said


def test_blocks_that_give_more_than_hidden_states_are_cut_where_nothing_needs_the_rest() -> None:
    """Its blocks give two things."""
    with _adapted("llama", "float32") as model:

        class Pairing(type(model)):  # type: ignore[misc]
            def __call__(self, tokens: mx.array) -> mx.array:
                hidden = self.model.embed_tokens(tokens)
                for block in self.layers:
                    hidden, _ = block(hidden, "causal", None)
                return self.lm_head(self.model.norm(hidden))

        block = type(model.layers[0])

        class Pair(block):  # type: ignore[misc, valid-type]
            def __call__(self, *args: Any) -> Any:
                return super().__call__(*args), None

        for each in model.layers:
            each.__class__ = Pair
        model.__class__ = Pairing
        assert disagreement(model, Engine(2, False), _rows()) is None


@pytest.mark.parametrize(
    ("keys", "at"), [(["self_attn.q_proj"], 2), (["self_attn.q_proj", "lm_head"], 0)], ids=["blocks", "head"]
)
def test_only_blocks_below_every_adapted_layer_are_left_out(keys: list[str], at: int) -> None:
    spec = dataclasses.replace(SPEC, keys=keys)
    assert first_adapted(make_model("llama", "float32"), spec) == at


@pytest.mark.parametrize(
    ("accumulation", "dropout", "left_out"),
    [(1, 0.1, {}), (2, 0.1, {}), (1, 0.0, {"narrow": True, "chunk": 32})],
)
def test_fifty_updates_end_in_the_same_adapter(
    base: Base,
    splits: tuple[Split, Split],
    accumulation: int,
    dropout: float,
    left_out: dict[str, Any],
    tmp_path: Path,
) -> None:
    settings = compose_config(
        "train.iters=50",
        "train.batch_size=2",
        "train.learning_rate=1e-3",
        f"train.grad_accumulation_steps={accumulation}",
    ).train
    spec = AdapterSpec("lora", 4, 10.0, dropout, 2, ["self_attn.q_proj", "mlp.down_proj"], None, None)
    ended = []
    for cut in (False, True):
        with attached(base.model, spec, seed=1):
            engine = WHOLE_MODEL
            if cut:
                at = first_adapted(base.model, spec)
                hidden = {
                    split.name: compute_hidden(base.model, at, split.rows, tmp_path / split.name) for split in splits
                }
                engine = Engine(at, True, hidden=hidden, **left_out)
            outcome = train(base.model, *splits, settings, Silent(), engine=engine)
            ended.append((outcome, adapter_weights(base.model)))
    (whole, weights), (ours, same) = ended
    assert ours.last.loss == pytest.approx(whole.last.loss, abs=1e-4)
    for key, value in weights.items():
        assert mx.allclose(value, same[key], rtol=1e-3, atol=1e-4).item(), key


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_fifty_updates_of_each_architecture_end_in_the_same_adapter(name: str, tmp_path: Path) -> None:
    settings = compose_config("train.iters=50", "train.batch_size=2", "train.learning_rate=1e-3").train
    splits = [Split(each, tmp_path / each, _rows(8), 0, []) for each in ("train", "valid")]
    ended = []
    for cut in (False, True):
        with _adapted(name, "float32") as model:
            engine = WHOLE_MODEL
            if cut:
                hidden = {each.name: compute_hidden(model, 2, each.rows, tmp_path / each.name) for each in splits}
                engine = Engine(2, True, narrow=True, chunk=16, hidden=hidden)
            outcome = train(model, splits[0], splits[1], settings, Silent(), engine=engine)
            ended.append((outcome, adapter_weights(model)))
    (whole, weights), (ours, same) = ended
    assert whole.last.loss < whole.start.loss and ours.last.loss == pytest.approx(whole.last.loss, abs=1e-4)
    for key, value in weights.items():
        assert mx.allclose(value, same[key], rtol=1e-2, atol=1e-3).item(), key
