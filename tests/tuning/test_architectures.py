"""Every architecture of mlx-lm that can be trained at all trains: with all that a step can leave out, or whole.

A sample here; `make architectures` tries all of them.
"""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest

from harness.data.dataset import Row, Split
from harness.errors import HarnessError
from harness.models.adapter import adapter_weights, attached, spec_for
from harness.models.sizes import Sizes, sizes_of
from harness.tuning.engine import Engine, disagreement, first_adapted, is_compilable
from harness.tuning.loop import train
from harness.tuning.memory import Load, sampling_need, shape_of, tail_weights, training_need
from tests.conftest import compose_config
from tests.tuning.test_memory import Silent
from tools.architectures.tiny import EVERY, MODELLED, VOCABULARY, WITHOUT, settings_of, tiny_model

MORE = "its blocks hand on more than hidden states"
OWN_WAY = "its forward pass does not call its blocks one after the other"
# what a step of each cannot leave out, and why; None: nothing
SAMPLE: dict[str, str | None] = {
    "gpt2": None,
    "exaone": None,
    "longcat_flash": None,
    "gptj": None,
    "dbrx": None,
    "gemma3n": "its last block gives more than one vector a position",
    "rwkv7": MORE,
    "gemma4": None,
    "hunyuan": None,
    "iquestloopcoder": OWN_WAY,
}


@pytest.fixture(autouse=True)
def uncompiled() -> Iterator[None]:
    """Kernels of a model that is used once cost more to compile than they spare."""
    mx.disable_compile()
    yield
    mx.enable_compile()


def _rows() -> list[Row]:
    rng = np.random.default_rng(0)
    lengths = rng.integers(6, 30, 4).tolist()
    return [
        Row(rng.integers(1, 250, length).astype(np.int32), np.arange(length) >= length // 2, line)
        for line, length in enumerate(lengths, start=1)
    ]


def _trained(name: str) -> str | None:
    """Two updates with what a run would leave out; why that is not everything."""
    config = compose_config("lora.num_layers=2", "lora.rank=4", "train.iters=2", "train.batch_size=2")
    (model, settings), rows = tiny_model(name), _rows()
    train_split, valid_split = (Split(each, Path(each), rows, 0, []) for each in ("train", "valid"))
    spec = spec_for(config.lora, model, base=name, base_revision="")
    with attached(model, spec, seed=0):
        drawn = {key: 0.1 * mx.random.normal(value.shape) for key, value in adapter_weights(model).items()}
        model.load_weights(list(drawn.items()), strict=False)
        shape, at = shape_of(model, spec, settings), first_adapted(model, spec)
        load = Load(width=32, targets=16, weights=tail_weights(model, at, settings))
        assert training_need(shape, config.train, load).total > 0 and sampling_need(shape, 8, 8, 2).total > 0
        differs = disagreement(model, Engine(at, on_targets=True), rows)
        train_settings = dataclasses.replace(config.train, learning_rate=1e-3)
        outcome = train(model, train_split, valid_split, train_settings, Silent())
        assert outcome.last.loss != outcome.start.loss
    return differs


@pytest.mark.parametrize(("name", "kept"), SAMPLE.items())
def test_what_a_step_cannot_leave_out_is_computed_and_the_model_trains(name: str, kept: str | None) -> None:
    assert _trained(name) == kept


def test_a_model_that_cannot_be_differentiated_says_so_in_a_line() -> None:
    """MLX has no gradient of what it computes."""
    with pytest.raises(HarnessError, match="a deepseek_v41 model cannot be trained: its forward pass ends with Val"):
        _trained("deepseek_v41")


def test_a_model_that_asks_for_values_in_the_middle_of_a_step_is_not_compiled() -> None:
    mx.enable_compile()
    assert not is_compilable(tiny_model("dbrx")[0], _rows())
    assert is_compilable(tiny_model("gpt2")[0], _rows())


def test_a_model_without_linear_layers_says_that_lora_cannot_be_put_on_it() -> None:
    """Its ternary layers are kinds of their own."""
    model, _ = tiny_model("bitnet")
    lora = compose_config("lora.rank=4").lora
    with pytest.raises(HarnessError, match="LoRA cannot be put on a bitnet model: its blocks have no linear layers"):
        spec_for(lora, model, base="", base_revision="")


def test_layers_whose_weights_the_model_reads_itself_are_left_without_an_adapter() -> None:
    model, _ = tiny_model("gemma3n")
    lora = compose_config("lora.rank=4").lora
    keys = spec_for(lora, model, base="", base_revision="").keys
    assert "self_attn.q_proj" in keys
    assert not {key for key in keys if key.endswith(("correction_coefs", "prediction_coefs"))}
    named = dataclasses.replace(lora, keys=["prediction_coefs"])
    with pytest.raises(HarnessError, match="prediction_coefs"):
        spec_for(named, model, base="", base_revision="")


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("gpt2", Sizes(hidden=64, vocabulary=VOCABULARY, heads=4, cached=64)),
        ("rwkv7", Sizes(hidden=64, vocabulary=VOCABULARY, heads=0, cached=0)),
        ("dbrx", Sizes(hidden=64, vocabulary=VOCABULARY, heads=4, cached=64)),
        ("gemma4", Sizes(hidden=64, vocabulary=VOCABULARY, heads=4, cached=64)),
    ],
)
def test_sizes_are_told_by_the_model_whatever_its_settings_call_them(name: str, sizes: Sizes) -> None:
    model, settings = tiny_model(name)
    assert sizes_of(model, settings) == sizes


def test_settings_name_no_architecture_that_is_gone() -> None:
    assert set(SAMPLE) <= set(MODELLED) and set(WITHOUT) <= set(EVERY)
    assert settings_of("llama")["hidden_size"] == 64
