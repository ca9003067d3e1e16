"""A model in fewer bits, or in full precision again, and as a folder of mlx-lm's: all by mlx-lm's own functions.

Works on a model in memory, so that a fused one is kept in the same way as a converted one. Does not know what that
costs in quality: who quantizes measures.
"""

import contextlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten, tree_map_with_path
from mlx_lm.convert import MODEL_CONVERSION_DTYPES, QUANT_RECIPES, mixed_quant_predicate_builder
from mlx_lm.utils import compute_bits_per_weight, dequantize_model, load_tokenizer, quantize_model, save

from harness.errors import HarnessError
from harness.files import sync
from harness.files.plainly import said_plainly

BITS, GROUP_SIZES = (2, 3, 4, 5, 6, 8), (32, 64, 128)
RECIPES, DTYPES = tuple(QUANT_RECIPES), tuple(MODEL_CONVERSION_DTYPES)
_MOST = 0.5  # of the weights; where more would stay as they are, the model would not be what its name says

Settings = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Quantization:
    """`bits` a weight, and one scale and bias for `group_size` of them. `mixed`: mlx-lm's recipe, in the place of bits:
    its first number for most layers, its second for those that lose most.
    """

    bits: int = 4
    group_size: int = 64
    mixed: str | None = None

    @property
    def name(self) -> str:
        """As folders are named by it: 4bit, 4bit-32 for groups of another size than usual, mixed_3_6."""
        bits = f"{self.bits}bit" if self.mixed is None else self.mixed
        return bits if self.group_size == 64 else f"{bits}-{self.group_size}"


def ways(bits: str | None, mixed: str | None, *, group_size: int) -> list[Quantization]:
    """From what a command is told: several with commas between are a model each.

    Raises:
        HarnessError: for bits that are no number, and for nothing where something was to be given.
    """
    numbers, recipes = _parts("--bits", bits, BITS), _parts("--mixed", mixed, RECIPES)
    for number in numbers:
        if number not in map(str, BITS):
            raise _not_of("--bits", BITS, bits)
    plain = [Quantization(bits=int(number), group_size=group_size) for number in numbers]
    return plain + [Quantization(mixed=recipe, group_size=group_size) for recipe in recipes]


def _parts(option: str, value: str | None, known: tuple[object, ...]) -> list[str]:
    """What stands between commas, each once."""
    if value is None:
        return []
    if not value.strip():
        raise _not_of(option, known, "nothing")
    return list(dict.fromkeys(part.strip() for part in value.split(",")))


def _not_of(option: str, known: tuple[object, ...], value: str | None) -> HarnessError:
    return HarnessError(f"{option} must be of {', '.join(map(str, known))}, commas between, but got {value}")


@dataclass(frozen=True)
class Left:
    """Layers that a group size does not divide, which stay as they are: their names and widths; `share` of weights."""

    layers: dict[str, int]
    share: float

    @property
    def said(self) -> str:
        """down_proj (width 432); k_proj, q_proj (width 160)."""
        names: dict[int, set[str]] = {}
        for name, width in self.layers.items():
            parts = name.split(".")
            names.setdefault(width, set()).add(".".join(parts[-2:] if parts[-1].isdigit() else parts[-1:]))
        return "; ".join(f"{', '.join(sorted(those))} (width {width})" for width, those in names.items())


def is_quantized(model: nn.Module) -> bool:
    return any("scales" in module for module in model.modules())


def bits_per_weight(model: nn.Module) -> float:
    """Scales and biases, and what is not quantized, included."""
    return float(compute_bits_per_weight(model))


def weight_bytes(model: nn.Module) -> int:
    """In memory. Evaluates nothing."""
    return sum(value.nbytes for _, value in tree_flatten(model.parameters()))


def left_by(model: nn.Module, group_size: int) -> Left:
    """What a group size cannot quantize. Evaluates nothing."""
    layers = {name: module.weight for name, module in model.named_modules() if hasattr(module, "to_quantized")}
    left = {name: weight for name, weight in layers.items() if weight.shape[-1] % group_size}
    whole = sum(weight.size for weight in layers.values())
    share = sum(weight.size for weight in left.values()) / whole if whole else 1.0
    return Left({name: weight.shape[-1] for name, weight in left.items()}, share)


def check_quantization(model: nn.Module, how: Quantization, *, name: str) -> Left:
    """Whether it can be done to this model, which is `name` to the user; returns what stays as it is.

    Raises:
        HarnessError: when bits, group size or recipe are not what mlx-lm has or the model bears.
    """
    _check_known("--bits", how.bits, BITS)
    _check_known("--group-size", how.group_size, GROUP_SIZES)
    if how.mixed is not None:
        _check_known("--mixed", how.mixed, RECIPES)
        if not any("down_proj" in key for key, _ in model.named_modules()):
            raise HarnessError(f"--mixed={how.mixed} needs layers named down_proj, but {name} has none; give --bits")
    if is_quantized(model):
        raise HarnessError(
            f"{name} is quantized already, at {bits_per_weight(model):.2f} bits a weight; start from the model in full "
            "precision, or add --dequantize to round this one a second time"
        )
    left = left_by(model, how.group_size)
    if left.share > _MOST:
        shares = {size: left_by(model, size).share for size in GROUP_SIZES}
        better = [str(size) for size in GROUP_SIZES if shares[size] <= _MOST]
        step = f"use {' or '.join(better)}" if better else "keep it in full precision"
        raise HarnessError(
            f"--group-size={how.group_size} does not divide {left.said} of {name}: {left.share:.0%} of its weights "
            f"would stay as they are; {step}"
        )
    return left


def _check_known(option: str, value: object, known: tuple[object, ...]) -> None:
    if value not in known:
        raise HarnessError(f"{option} must be one of {', '.join(map(str, known))}, but got {value}")


def cast(model: nn.Module, settings: Mapping[str, Any], dtype: str | None) -> Settings:
    """Weights in this type, lazily, for None as they are; returns the new config.json."""
    if dtype is None:
        return dict(settings)
    target, may = getattr(mx, dtype), getattr(model, "cast_predicate", lambda _: True)

    def converted(name: str, value: mx.array) -> mx.array:
        return value.astype(target) if may(name) and mx.issubdtype(value.dtype, mx.floating) else value

    model.update(tree_map_with_path(converted, model.parameters()))
    return {**settings, "torch_dtype": dtype}


def quantize(model: nn.Module, settings: Mapping[str, Any], how: Quantization) -> Settings:
    """In place and lazily; returns the new config.json. To be checked before."""
    predicate = None if how.mixed is None else mixed_quant_predicate_builder(how.mixed, model, how.group_size)
    with contextlib.redirect_stdout(io.StringIO()):  # it prints what bits_per_weight says
        _, config = quantize_model(model, dict(settings), how.group_size, how.bits, quant_predicate=predicate)
    return dict(config)


def dequantize(model: nn.Module, settings: Mapping[str, Any]) -> Settings:
    """Full precision, in place and lazily; returns the new config.json. What rounding lost stays lost."""
    dequantize_model(model)
    return {key: value for key, value in settings.items() if key not in ("quantization", "quantization_config")}


def save_folder(folder: Path, model: nn.Module, settings: Mapping[str, Any], *, source: Path, donate: bool) -> None:
    """A folder that stock mlx-lm loads: weights, config.json, and tokenizer and all else of `source`, a model's folder.

    `donate`: each weight is let go of once it is written, so that the model is never whole in memory; it is empty then.

    Raises:
        WriteError: when it cannot be written, as on a full disk.
    """
    tokenizer = load_tokenizer(source, eos_token_ids=settings.get("eos_token_id"))
    with said_plainly(folder):
        save(folder, source, model, tokenizer, dict(settings), donate_model=donate)
        for file in [*folder.iterdir(), folder]:
            sync(file)
