"""One layer of the base with the adapters that are on it, each row of a batch going through its own.

In a batch of one adapter the adapter's own module computes; in a mixed one the base's, and the adapters' factors from
stacks: A [places, in, rank] and B [places, rank, out], ranks padded with zeros, the first place all zeros for rows
without an adapter here. Knows nothing of files.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten
from mlx_lm.tuner.dora import DoRALinear
from mlx_lm.tuner.lora import LoRALinear

BARE = 0  # the slot of the base without an adapter


class Rows:
    """The slots of the rows of the batch that is computed, as all layers see them."""

    def __init__(self) -> None:
        self.slots: list[int] = []
        self.set([BARE])

    def set(self, slots: Sequence[int]) -> None:
        if self.slots != list(slots):
            self.slots, self.different = list(slots), frozenset(slots)
            self.one = self.slots[0] if len(self.different) == 1 else None
            self._places: dict[tuple[int, ...], mx.array] = {}

    def places(self, slots: tuple[int, ...]) -> mx.array:
        """Of each row in a stack of these slots, int [batch]: 0 where it is of none of them."""
        if slots not in self._places:
            place = {slot: number for number, slot in enumerate(slots, start=1)}
            self._places[slots] = mx.array([place.get(slot, 0) for slot in self.slots], mx.uint32)
        return self._places[slots]


class StackedLayer(nn.Module):  # type: ignore[misc]
    """`bare`: the base's own layer. What is asked of it besides being called, the module of the rows' slot answers."""

    def __init__(self, bare: nn.Module, rows: Rows) -> None:
        super().__init__()
        self._on = _On(bare, rows)

    @property
    def bare(self) -> nn.Module:
        return self._on.bare

    @property
    def slots(self) -> tuple[int, ...]:
        return tuple(self._on.modules)

    @property
    def nbytes(self) -> int:
        on = self._on
        modules = [value.nbytes for module in on.modules.values() for _, value in tree_flatten(own_weights(module))]
        return sum(modules) + (0 if on.stack is None else on.stack.nbytes)

    def put(self, slot: int, module: nn.Module) -> None:
        self._on.modules[slot] = module
        self._on.stack = None

    def drop(self, slot: int) -> None:
        if self._on.modules.pop(slot, None) is not None:
            self._on.stack = None

    def __call__(self, x: mx.array, *more: Any, **named: Any) -> mx.array:
        on = self._on
        if (module := on.present) is not None:
            return module(x, *more, **named)
        if more or named or x.ndim < 2 or x.shape[0] != len(on.rows.slots):
            raise ValueError(f"a layer is called with other rows than the batch's: {x.shape}")
        if on.stack is None:
            on.stack = _stacked(on.modules)
        return on.stack(on.bare, x, on.rows.places(on.stack.slots))

    def __getattr__(self, key: str) -> Any:
        if key.startswith("_") or self._on.present is None:
            raise AttributeError(key)
        return getattr(self._on.present, key)


@dataclass
class _On:
    """What is on a layer: kept from MLX, which would take it for the model's own weights."""

    bare: nn.Module
    rows: Rows
    modules: dict[int, nn.Module] = field(default_factory=dict)
    stack: "_Stack | None" = None

    @property
    def present(self) -> nn.Module | None:
        """What all rows go through here; None: they go through several."""
        if self.rows.one is not None:
            return self.modules.get(self.rows.one, self.bare)
        return self.bare if self.rows.different.isdisjoint(self.modules) else None


@dataclass(frozen=True)
class _Stack:
    """`a` [places, in, rank], `b` [places, rank, out] with the scale in it; `magnitude` [places, 1, out]: DoRA's, of
    the norms of the adapted weights; None where no adapter has it."""

    slots: tuple[int, ...]
    a: mx.array
    b: mx.array
    magnitude: mx.array | None

    @property
    def nbytes(self) -> int:
        return int(self.a.nbytes + self.b.nbytes)

    def __call__(self, bare: nn.Module, x: mx.array, places: mx.array) -> mx.array:
        """x [batch, …, in]; places [batch]."""
        flat = x.reshape(x.shape[0], -1, x.shape[-1])
        low = mx.gather_mm(flat, self.a, rhs_indices=places)
        more = mx.gather_mm(low, self.b, rhs_indices=places).reshape(*x.shape[:-1], -1)
        y = bare(x)
        if self.magnitude is None:
            return y + more.astype(x.dtype)
        magnitude = self.magnitude[places].reshape(-1, *[1] * (x.ndim - 2), more.shape[-1]).astype(x.dtype)
        bias = bare.bias if "bias" in bare else 0.0
        return magnitude * (y - bias + more.astype(x.dtype)) + bias


def why_alone(modules: Mapping[str, nn.Module], *, exact: bool) -> str | None:
    """Why an adapter of these modules, by their names in the model, has no stack; None: it has.

    `exact`: it is to be what float32 rounds; a stack in 16 bits rounds otherwise than the adapter by itself.
    """
    for name, module in sorted(modules.items(), key=lambda pair: pair[0]):
        if type(module) not in (LoRALinear, DoRALinear):
            return f"{type(module).__name__} on {name} cannot be stacked"
        if exact and _weight(module.linear).dtype != mx.float32:
            return f"{name} is in 16 bits, which a stack would round otherwise"
    return None


def own_weights(module: nn.Module) -> dict[str, Any]:
    """Of the adapter, without those of the layer that it is on."""
    return {name: value for name, value in module.items() if isinstance(value, mx.array)}


def _stacked(modules: Mapping[int, nn.Module]) -> _Stack:
    """Of those that have a stack; the others' rows are never in a mixed batch."""
    able = {slot: module for slot, module in modules.items() if type(module) in (LoRALinear, DoRALinear)}
    rank = max(module.lora_a.shape[1] for module in able.values())
    dims, out = next((module.lora_a.shape[0], module.lora_b.shape[1]) for module in able.values())
    a = _with_nothing(_padded(module.lora_a, (dims, rank)) for module in able.values())
    b = _with_nothing(_padded(module.scale * module.lora_b, (rank, out)) for module in able.values())
    magnitude = None
    if any(isinstance(module, DoRALinear) for module in able.values()):
        magnitude = mx.stack([mx.ones((1, out)), *(_magnitude(module, out) for module in able.values())])
    stack = _Stack(tuple(able), a, b, magnitude)
    mx.eval(a, b, *([] if magnitude is None else [magnitude]))
    return stack


def _with_nothing(factors: Iterable[mx.array]) -> mx.array:
    every = list(factors)
    return mx.stack([mx.zeros_like(every[0]), *every])


def _padded(factor: mx.array, shape: tuple[int, int]) -> mx.array:
    return mx.pad(factor.astype(mx.float32), [(0, shape[0] - factor.shape[0]), (0, shape[1] - factor.shape[1])])


def _magnitude(module: nn.Module, out: int) -> mx.array:
    """[1, out], as DoRALinear computes it anew for each token."""
    if not isinstance(module, DoRALinear):
        return mx.ones((1, out))
    adapted = _weight(module.linear) + (module.scale * module.lora_b.T) @ module.lora_a.T
    return (module.m / mx.linalg.norm(adapted, axis=1))[None]


def _weight(linear: nn.Module) -> mx.array:
    if not isinstance(linear, nn.QuantizedLinear):
        return linear.weight
    return mx.dequantize(
        linear.weight,
        linear.scales,
        linear.biases,
        group_size=linear.group_size,
        bits=linear.bits,
        mode=linear.mode,
    )
