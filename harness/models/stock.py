"""Folders as mlx-lm reads and writes them by itself: a model that an adapter is worked into, and what it makes of one.

What is written here is plain: no adapter, no code of ours is needed to load it. Does not know what is measured.
"""

import copy
import shutil
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import mlx_lm
from mlx.utils import tree_unflatten
from mlx_lm.utils import load_model, quantize_model, save_config, save_model

from harness.errors import HarnessError, reason
from harness.models.adapter import loaded
from harness.models.adapter_files import AdapterFiles
from harness.models.base import Base
from harness.models.fused import fused
from harness.models.peft_architectures import naming_of
from harness.models.peft_names import Naming
from harness.models.quantize import BITS, RECIPES, Quantization, check_quantization, dequantize, quantize
from harness.models.tokenizer import Tokenizer

AS_BASE, FULL, MIXED = "base", "full", "mixed"
NUMBERS = tuple(map(str, BITS))
_KEEPING = 8  # bits that a mixed model has where the adapter is
_USUAL_BITS, _USUAL_GROUP = 4, 64
_SMALL = (".json", ".jinja", ".txt", ".model", ".py", ".tiktoken")
_INDEX = ".index.json"  # of weights


@dataclass(frozen=True, kw_only=True)
class Bits:
    """How a fused model is quantized. `how`: base: as the base is; full: not at all; mixed: as the base is, but 8 bits
    where the adapter was; a number of bits for all; or a recipe of mlx-lm's, such as mixed_4_6."""

    how: str = AS_BASE
    group_size: int = _USUAL_GROUP

    def said(self, base: Base) -> str:
        """For people."""
        quantized = is_quantized(base)
        known = {
            AS_BASE: "quantized as the base is" if quantized else "in full precision as the base is",
            FULL: "in full precision",
            MIXED: f"{'quantized as the base is' if quantized else f'in {_USUAL_BITS} bits'}, "
            f"{_KEEPING} bits where the adapter was",
        }
        numbered = f"in {self.how} bits, groups of {self.group_size}"
        return known.get(self.how, numbered if self.how in NUMBERS else f"by mlx-lm's recipe {self.how}")


@dataclass(frozen=True)
class Fused:
    """A model without adapters, and its config.json."""

    model: nn.Module
    config: dict[str, Any]


def fused_model(base: Base, adapter: AdapterFiles, bits: Bits) -> Fused:
    """A copy of the base with the adapter worked in; `base` itself stays as it is.

    Raises:
        HarnessError: when the adapter does not fit, or the layers cannot be quantized so.
    """
    model, config = load_model(base.folder, lazy=True)
    model.freeze()
    with loaded(model, adapter):
        keep = bits.how == AS_BASE
        with fused(model, dequantize=not keep) as names:
            plain = dict(model.named_modules())
            worked_in = [(name, plain[name]) for name in names]
    was = {name: _quantization(module) for name, module in model.named_modules() if name in set(names)}
    model.update_modules(tree_unflatten(worked_in))
    config = copy.deepcopy(config)
    if bits.how == MIXED:
        _keep_adapted(model, config, worked_in, was, bits)
    elif bits.how != AS_BASE:
        _in_bits(model, config, bits)
    model.eval()
    return Fused(model, config)


def is_quantized(base: Base) -> bool:
    """Whether the base's own config says so."""
    return bool(base.settings.get("quantization") or base.settings.get("quantization_config"))


def quantization_of(base: Base) -> tuple[int, int]:
    """Bits and group size that most of its layers have; mlx-lm's usual ones for a base in full precision."""
    said = base.settings.get("quantization") or {}
    return int(said.get("bits", _USUAL_BITS)), int(said.get("group_size", _USUAL_GROUP))


def write_fused(folder: Path, model: Fused, base: Base) -> None:
    """As mlx-lm saves models, with the base's own tokenizer files, byte for byte."""
    save_model(folder, model.model)
    vision = "vision_tower" in getattr(model.model, "model", {})  # a tower that is kept needs its settings
    save_config(copy.deepcopy(model.config), folder / "config.json", keep_vision_config=vision)
    copy_small_files(base, folder)


def copy_small_files(base: Base, folder: Path) -> None:
    """Tokenizer, chat template and generation settings: what stands beside config and weights."""
    others = ("config.json", "README.md")
    for file in sorted(base.folder.iterdir()):
        if file.suffix in _SMALL and file.name not in others and not file.name.endswith(_INDEX) and file.is_file():
            shutil.copyfile(file, folder / file.name)


def load_stock(folder: Path, base: Base, *, adapter: Path | None = None) -> Base:
    """What mlx_lm.load makes of a model's folder, and of an adapter's beside it, to be measured as a base is.

    Raises:
        HarnessError: when mlx-lm does not load it.
    """
    try:
        model, tokenizer = mlx_lm.load(str(folder), adapter_path=None if adapter is None else str(adapter))
    except Exception as error:  # mlx-lm's own, of many kinds
        raise HarnessError(f"mlx_lm.load does not load what was written: {reason(error)}") from error
    model.eval()
    mx.eval(model.parameters())
    found = replace(base, folder=folder)
    found.__dict__["model"] = model
    found.__dict__["tokenizer"] = Tokenizer(tokenizer, base.path, base.template_args)
    return found


def as_base(model: Fused, base: Base) -> Base:
    """A fused model that is not written yet, to be measured."""
    found = replace(base)
    found.__dict__["model"] = model.model
    found.__dict__["tokenizer"] = base.tokenizer
    return found


def is_named_as_transformers(base: Base) -> bool:
    """Whether mlx-lm's names of this architecture's weights are those that transformers reads."""
    return naming_of(str(base.settings.get("model_type"))) == Naming()


def _quantization(module: nn.Module) -> dict[str, Any] | None:
    inner = getattr(module, "linear", getattr(module, "embedding", module))
    if not hasattr(inner, "bits"):
        return None
    return {"group_size": inner.group_size, "bits": inner.bits, "mode": inner.mode}


def _in_bits(model: nn.Module, config: dict[str, Any], bits: Bits) -> None:
    plain = dequantize(model, config)
    if bits.how in RECIPES:
        plain = _as_said(model, plain, Quantization(mixed=bits.how, group_size=bits.group_size))
    elif bits.how != FULL:
        plain = _as_said(model, plain, Quantization(bits=int(bits.how), group_size=bits.group_size))
    config.clear()
    config.update(plain)


def _as_said(model: nn.Module, config: dict[str, Any], how: Quantization) -> dict[str, Any]:
    check_quantization(model, how, name="the fused model")
    return quantize(model, config, how)


def _quantize(
    model: nn.Module, config: dict[str, Any], number: int, group_size: int, predicate: Callable[..., Any] | None
) -> None:
    try:
        with redirect_stdout(sys.stderr):
            _, quantized = quantize_model(model, config, group_size, number, quant_predicate=predicate)
    except ValueError as error:
        raise HarnessError(f"--bits={number} --group-size={group_size} cannot be: {error}") from error
    if not any(hasattr(module, "bits") for _, module in model.named_modules()):
        raise HarnessError(f"--group-size={group_size} must divide the width of a layer, but divides none; try 32")
    config.clear()
    config.update(quantized)


def _keep_adapted(
    model: nn.Module,
    config: dict[str, Any],
    worked_in: Sequence[tuple[str, nn.Module]],
    was: dict[str, dict[str, Any] | None],
    bits: Bits,
) -> None:
    """8 bits for the layers that were adapted, the others as they were; of a plain base the others in 4 bits."""
    names = {name for name, _ in worked_in}
    kept = {"group_size": bits.group_size, "bits": _KEEPING, "mode": "affine"}
    if "quantization" not in config:
        usual = getattr(model, "quant_predicate", None)
        _quantize(model, config, _USUAL_BITS, bits.group_size, _with_kept(names, kept, usual))
        return
    changed = []
    for name, module in worked_in:
        former = was[name]
        if former is None:
            continue  # it was in full precision and stays so
        wide = {**kept, "group_size": former["group_size"]}
        changed.append((name, module.to_quantized(**wide)))
        config["quantization"][name] = wide
    model.update_modules(tree_unflatten(changed))
    mx.eval([module.parameters() for _, module in changed])
    config["quantization_config"] = copy.deepcopy(config["quantization"])


def _with_kept(names: set[str], kept: dict[str, Any], usual: Callable[..., Any] | None) -> Callable[..., Any]:
    """`usual`: what the architecture itself says of its layers, such as a router's bits."""

    def wanted(path: str, module: nn.Module) -> Any:
        return kept if path in names else usual is None or usual(path, module)

    return wanted
