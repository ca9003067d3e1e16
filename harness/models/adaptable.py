"""Which layers of a model LoRA can go on, by their names within a block. Asks the model; knows no architecture."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx_lm.models.switch_layers import QuantizedSwitchLinear, SwitchLinear

from harness.errors import HarnessError

_KINDS = (
    nn.Linear,
    nn.QuantizedLinear,
    SwitchLinear,
    QuantizedSwitchLinear,
    nn.Embedding,
    nn.QuantizedEmbedding,
)


def adaptable_names(model: nn.Module) -> list[str]:
    """All that mlx-lm puts LoRA on where it is given no names, in the order of the blocks."""
    names: dict[str, None] = {}
    for block in model.layers:
        found = [
            name for name, module in block.named_modules() if isinstance(module, _KINDS) or hasattr(module, "to_lora")
        ]
        names |= dict.fromkeys(reversed(found))
    return list(names)


def expert_names(model: nn.Module) -> set[str]:
    """Layers that hold a matrix for each expert of a mixture."""
    kinds = (SwitchLinear, QuantizedSwitchLinear)
    return {name for block in model.layers for name, module in block.named_modules() if isinstance(module, kinds)}


def bearing_names(model: nn.Module) -> list[str]:
    """Those of them with which the model still computes. Nothing may be attached; evaluates nothing.

    Raises:
        HarnessError: when there is none.
    """
    read = _read_by_the_model(model)
    names = [name for name in adaptable_names(model) if name not in read]
    if not names:
        raise HarnessError(
            f"LoRA cannot be put on a {getattr(model, 'model_type', type(model).__name__)} model: its blocks have no "
            "linear layers that mlx-lm adapts; choose another base"
        )
    return names


def _read_by_the_model(model: nn.Module) -> set[str]:
    """Layers whose weights the model's own code takes, instead of calling the layer alone: an adapted one has none."""
    read: set[str] = set()
    with _told_of_weights(model, read.add):
        try:
            model(mx.zeros((1, 2), mx.int32))  # builds what would be computed, no more
        except Exception:  # a model that cannot be called says so where it is used
            return read
    return read


@contextmanager
def _told_of_weights(model: nn.Module, tell: Callable[[str], None]) -> Iterator[None]:
    """`tell` gets the name of each linear layer whose weights are asked for from outside."""
    layers = [
        (name, module)
        for block in model.layers
        for name, module in block.named_modules()
        if isinstance(module, nn.Linear | nn.QuantizedLinear)
    ]
    former = [(module, type(module)) for _, module in layers]
    try:
        for name, module in layers:
            module.__class__ = _telling(type(module), name, tell)
        yield
    finally:
        for module, kind in former:
            module.__class__ = kind


def _telling(kind: type[nn.Module], name: str, tell: Callable[[str], None]) -> type[nn.Module]:
    def asked(module: nn.Module, key: str) -> Any:
        if key == "weight":
            tell(name)
        return kind.__getattr__(module, key)

    return type(kind.__name__, (kind,), {"__getattr__": asked})
