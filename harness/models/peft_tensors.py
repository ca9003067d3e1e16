"""An adapter's arrays as PEFT lays them out, and back: every number is kept to the bit.

Of a layer mlx-lm has lora_a [in, rank] and lora_b [rank, out], PEFT lora_A [rank, in] and lora_B [out, rank]. Of a
mixture's experts mlx-lm has lora_a [expert, rank, in] and lora_b [expert, out, rank] for each of gate, up and down;
PEFT folds the experts into two dimensions, and gate and up are one parameter of twice the rows. Knows nothing of files.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import mlx.core as mx

from harness.errors import HarnessError
from harness.models.peft_names import Experts, Layer, Naming, layer_of
from harness.models.tensors import Arrays

PREFIX = "base_model.model."
_LEAVES = {"lora_a": "lora_A.weight", "lora_b": "lora_B.weight", "m": "lora_magnitude_vector"}

# a layer's arrays by mlx-lm's names: lora_a, lora_b, m
Leaves = dict[str, mx.array]


@dataclass(kw_only=True)
class Laid:
    """What a file of PEFT's holds, and what its configuration is to say of it.

    `modules` and `parameters`: what is adapted; `doubled`: parameters of twice the rank.
    """

    tensors: Arrays = field(default_factory=dict)
    modules: list[str] = field(default_factory=list)
    parameters: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)


def by_layer(arrays: Arrays) -> dict[str, Leaves]:
    """The arrays of each adapted layer, by its full name in mlx-lm's model."""
    found: dict[str, Leaves] = {}
    for name, value in arrays.items():
        layer, _, leaf = name.rpartition(".")
        found.setdefault(layer, {})[leaf] = value
    return found


def to_peft(arrays: Arrays, naming: Naming) -> Laid:
    """An adapter's arrays under PEFT's names.

    Raises:
        HarnessError: naming a layer that PEFT's format has no place for.
    """
    laid = Laid()
    experts: dict[int, dict[str, Leaves]] = {}
    for name, leaves in by_layer(arrays).items():
        layer = layer_of(name)
        if name == naming.head:
            laid.modules.append("lm_head")
            _lay_out(laid, "lm_head", leaves)
            continue
        if leaves.keys() - _LEAVES.keys() or layer is None or layer.blocks != naming.here:
            raise _without_place(name)
        if naming.experts is not None and layer.within.startswith(f"{naming.experts.here}."):
            last = layer.within.removeprefix(f"{naming.experts.here}.")
            experts.setdefault(layer.block, {})[last] = leaves
        elif any(value.ndim > 2 for value in leaves.values()):
            raise _without_place(name)
        else:
            _lay(laid, layer, leaves, naming)
    for block, each in sorted(experts.items()):
        assert naming.experts is not None
        _lay_experts(laid, Layer(naming.there, block, naming.experts.there), each, naming.experts)
    return laid


def _lay(laid: Laid, layer: Layer, leaves: Leaves, naming: Naming) -> None:
    if layer.within.rpartition(".")[2] in naming.without:
        raise HarnessError(
            f"peft does not adapt {layer.within} of this architecture; export the adapter as fused, "
            "or train one without it in lora.keys"
        )
    there = str(Layer(naming.there, layer.block, naming.there_of(layer.within)))
    if naming.is_parameter(layer.within):
        if "m" in leaves:
            raise HarnessError(f"PEFT has no DoRA for {there}; export it as fused")
        laid.parameters.append(f"{there}.weight")
        _lay_out(laid, there, leaves)
    else:
        laid.modules.append(there)
        _lay_out(laid, there, leaves)


def _lay_out(laid: Laid, there: str, leaves: Leaves) -> None:
    for leaf, value in leaves.items():
        laid.tensors[f"{PREFIX}{there}.{_LEAVES[leaf]}"] = value.T if value.ndim == 2 else value


def _lay_experts(laid: Laid, module: Layer, each: Mapping[str, Leaves], experts: Experts) -> None:
    """peft wraps a module once for each parameter, in their order: so gate and up lie within down."""
    both = [each[name] for name in ("gate_proj", "up_proj") if name in each]
    down = each.get("down_proj")
    if both:
        gate, up = each.get("gate_proj") or _nothing(both[0]), each.get("up_proj") or _nothing(both[0])
        fused, doubled = _fused(gate, up, interleaved=experts.interleaved)
        parameter = f"{module}.gate_up_proj"
        laid.parameters.append(parameter)
        laid.doubled += [parameter] if doubled else []
        _lay_folded(laid, f"{module}.base_layer" if down else str(module), fused)
    if down:
        laid.parameters.append(f"{module}.{experts.down}")
        _lay_folded(laid, str(module), down)


def _lay_folded(laid: Laid, module: str, leaves: Leaves) -> None:
    """[expert, rank, in] as [expert × rank, in], and [expert, out, rank] as [out, rank × expert]."""
    a, b = leaves["lora_a"], leaves["lora_b"]
    laid.tensors[f"{PREFIX}{module}.lora_A.weight"] = a.reshape(-1, a.shape[-1])
    laid.tensors[f"{PREFIX}{module}.lora_B.weight"] = b.transpose(1, 2, 0).reshape(b.shape[1], -1)


def unfolded(a: mx.array, b: mx.array, rank: int) -> Leaves:
    """The reverse: arrays of [expert, rank, in] and [expert, out, rank]."""
    return {
        "lora_a": a.reshape(-1, rank, a.shape[-1]),
        "lora_b": b.reshape(b.shape[0], rank, -1).transpose(2, 0, 1),
    }


def _nothing(like: Leaves) -> Leaves:
    return {name: mx.zeros_like(value) for name, value in like.items()}


def _fused(gate: Leaves, up: Leaves, *, interleaved: bool) -> tuple[Leaves, bool]:
    """Gate and up as one layer; whether that has twice the rank. Each keeps its part of it, beside zeros."""
    if mx.array_equal(gate["lora_a"], up["lora_a"]).item():
        a, b = gate["lora_a"], _rows(gate["lora_b"], up["lora_b"], interleaved)
        return {"lora_a": a, "lora_b": b}, False
    a = mx.concatenate([gate["lora_a"], up["lora_a"]], axis=1)
    zeros = mx.zeros_like(gate["lora_b"])
    upper = mx.concatenate([gate["lora_b"], zeros], axis=2)
    lower = mx.concatenate([zeros, up["lora_b"]], axis=2)
    return {"lora_a": a, "lora_b": _rows(upper, lower, interleaved)}, True


def _rows(upper: mx.array, lower: mx.array, interleaved: bool) -> mx.array:
    """Rows of [expert, out, rank] one below the other, or in turns."""
    if not interleaved:
        return mx.concatenate([upper, lower], axis=1)
    experts, out, rank = upper.shape
    return mx.stack([upper, lower], axis=2).reshape(experts, 2 * out, rank)


def split(fused: Leaves, rank: int, *, interleaved: bool) -> dict[str, Leaves]:
    """Gate and up again, each of `rank`; of one that has nothing but zeros, nothing.

    Raises:
        HarnessError: where they cannot be told apart at this rank.
    """
    a, b = fused["lora_a"], fused["lora_b"]
    out = b.shape[1] // 2
    upper, lower = (b[:, ::2], b[:, 1::2]) if interleaved else (b[:, :out], b[:, out:])
    if a.shape[1] == rank:
        found = {"gate_proj": {"lora_a": a, "lora_b": upper}, "up_proj": {"lora_a": a, "lora_b": lower}}
    else:
        if a.shape[1] != 2 * rank or mx.any(upper[:, :, rank:]).item() or mx.any(lower[:, :, :rank]).item():
            raise HarnessError(f"gate_up_proj of its experts must have rank {rank}, but has {a.shape[1]}")
        found = {
            "gate_proj": {"lora_a": a[:, :rank], "lora_b": upper[:, :, :rank]},
            "up_proj": {"lora_a": a[:, rank:], "lora_b": lower[:, :, rank:]},
        }
    return {name: leaves for name, leaves in found.items() if mx.any(leaves["lora_a"]).item()}


def _without_place(name: str) -> HarnessError:
    return HarnessError(f"{name} has no place in PEFT's format of this architecture; export the adapter as fused")
