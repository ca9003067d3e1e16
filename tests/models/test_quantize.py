"""Bits, group sizes and recipes: mlx-lm's own results, and what cannot be done said before it is."""

import json
from collections.abc import Callable
from pathlib import Path

import mlx.core as mx
import mlx_lm
import pytest
from mlx.utils import tree_flatten
from mlx_lm.convert import convert

from harness.config.schema import ModelConfig
from harness.errors import HarnessError
from harness.models.base import Base, open_base
from harness.models.quantize import (
    Left,
    Quantization,
    bits_per_weight,
    cast,
    check_quantization,
    dequantize,
    is_quantized,
    left_by,
    quantize,
    save_folder,
)

Quantized = Callable[..., Path]


@pytest.fixture
def quantized(tmp_path: Path) -> Quantized:
    """The tiny base in fewer bits, as a folder."""

    def make(how: Quantization, name: str = "ours") -> Path:
        base = open_base(ModelConfig(path="builtin:tiny", revision=None))
        settings = quantize(base.model, cast(base.model, base.settings, None), how)
        save_folder(tmp_path / name, base.model, settings, source=base.folder, donate=True)
        return tmp_path / name

    return make


@pytest.mark.parametrize(
    ("how", "theirs"),
    [
        (Quantization(bits=4), {"q_bits": 4}),
        (Quantization(bits=3, group_size=32), {"q_bits": 3, "q_group_size": 32}),
        (Quantization(mixed="mixed_3_6"), {"quant_predicate": "mixed_3_6", "q_group_size": 64}),
    ],
)
def test_a_quantized_folder_is_that_of_mlx_lm_to_the_byte(
    how: Quantization, theirs: dict[str, str | int], quantized: Quantized, base: Base, tmp_path: Path
) -> None:
    ours = quantized(how)
    convert(str(base.folder), str(tmp_path / "theirs"), quantize=True, **theirs)
    for name in ("model.safetensors", "config.json", "tokenizer.json"):
        assert (ours / name).read_bytes() == (tmp_path / "theirs" / name).read_bytes(), name
    model, tokenizer = mlx_lm.load(str(ours))[:2]
    assert is_quantized(model) and bits_per_weight(model) < 9
    assert tokenizer.encode("河") == base.tokenizer.encode("河", special=True).ids


def test_dequantizing_gives_a_plain_model_that_computes_the_same(quantized: Quantized, tmp_path: Path) -> None:
    there = open_base(ModelConfig(path=str(quantized(Quantization(bits=8))), revision=None))
    before = there.model(mx.array([[1, 2, 3]]))
    settings = dequantize(there.model, there.settings)
    assert not is_quantized(there.model) and "quantization" not in settings
    save_folder(tmp_path / "plain", there.model, settings, source=there.folder, donate=False)
    model = mlx_lm.load(str(tmp_path / "plain"))[0]
    assert mx.allclose(model(mx.array([[1, 2, 3]])), before, atol=1e-3).item()


def test_a_type_asked_for_is_that_of_all_weights_and_stands_in_the_configuration() -> None:
    base = open_base(ModelConfig(path="builtin:tiny", revision=None))
    settings = cast(base.model, base.settings, "float16")
    assert settings["torch_dtype"] == "float16"
    assert {value.dtype for _, value in tree_flatten(base.model.parameters())} == {mx.float16}


@pytest.mark.parametrize(
    ("how", "complaint"),
    [
        (Quantization(bits=7), "--bits must be one of 2, 3, 4, 5, 6, 8, but got 7"),
        (Quantization(group_size=48), "--group-size must be one of 32, 64, 128, but got 48"),
        (Quantization(mixed="mixed_9"), "--mixed must be one of mixed_2_6, "),
        (Quantization(group_size=128), r"--group-size=128 does not divide .*q_proj.* \(width 64\).*; use 32 or 64$"),
    ],
)
def test_what_cannot_be_quantized_is_said_in_a_line(how: Quantization, complaint: str, base: Base) -> None:
    with pytest.raises(HarnessError, match=complaint):
        check_quantization(base.model, how, name="builtin:tiny")


def test_a_quantized_model_is_not_rounded_again_unawares(quantized: Quantized) -> None:
    there = open_base(ModelConfig(path=str(quantized(Quantization(bits=4))), revision=None))
    with pytest.raises(HarnessError, match=r"quantized already, at 5\.\d+ bits a weight; .*--dequantize"):
        check_quantization(there.model, Quantization(), name=there.path)


def test_layers_that_a_group_size_does_not_divide_are_named_with_their_share() -> None:
    model = open_base(ModelConfig(path="builtin:small", revision=None)).model
    left = check_quantization(model, Quantization(group_size=32), name="builtin:small")
    assert left.said == "down_proj (width 432)" and 0.1 < left.share < 0.2
    assert left_by(model, 64).share == 1
    assert Left({"blocks.0.lora.2": 16, "blocks.1.lora.2": 16}, 0.1).said == "lora.2 (width 16)"


def test_a_quantization_names_a_folder() -> None:
    names = [Quantization(bits=3).name, Quantization(group_size=32).name, Quantization(mixed="mixed_3_6").name]
    assert names == ["3bit", "4bit-32", "mixed_3_6"]


def test_the_folder_says_what_mlx_lm_asks_of_it(quantized: Quantized) -> None:
    config = json.loads((quantized(Quantization(bits=6)) / "config.json").read_text("utf-8"))
    assert config["quantization"] == {"group_size": 64, "bits": 6, "mode": "affine"} == config["quantization_config"]
