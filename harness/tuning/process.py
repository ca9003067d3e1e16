"""Settings of the process and of model classes that training changes, each put back afterwards."""

from collections.abc import Iterator
from contextlib import contextmanager

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten, tree_unflatten
from mlx_lm.tuner.trainer import grad_checkpoint
from mlx_lm.utils import maybe_set_recommended_wired_limit


@contextmanager
def checkpointed_blocks(model: nn.Module, enabled: bool) -> Iterator[None]:
    """Recompute activations in the backward pass inside.

    mlx-lm patches the block's class, for the rest of the process, once more with every run: the class's
    own method is put back here.
    """
    if not enabled:
        yield
        return
    former = {type(block): type(block).__call__ for block in model.layers}
    try:
        for block in {type(block): block for block in model.layers}.values():
            grad_checkpoint(block)
        yield
    finally:
        for block_class, method in former.items():
            block_class.__call__ = method


@contextmanager
def dequantized_blocks(model: nn.Module, enabled: bool) -> Iterator[None]:
    """The linear layers of adapted blocks as plain matrices inside, which are faster to compute with.

    Their quantized weights stay in memory, to be put back. Layers of experts are left as they are.
    """
    former: list[tuple[nn.Module, list[tuple[str, nn.Module]]]] = []
    for block in model.layers if enabled else ():
        if tree_flatten(block.trainable_parameters()):
            quantized = [(name, module) for name, module in block.named_modules() if type(module) is nn.QuantizedLinear]
            former.append((block, quantized))
    try:
        for block, modules in former:
            block.update_modules(tree_unflatten([(name, _dequantized(module)) for name, module in modules]))
            mx.eval(block.parameters())
        yield
    finally:
        for block, modules in former:
            block.update_modules(tree_unflatten(modules))


def _dequantized(layer: nn.QuantizedLinear) -> nn.Linear:
    weight = mx.dequantize(layer.weight, layer.scales, layer.get("biases"), layer.group_size, layer.bits, layer.mode)
    plain = nn.Linear(1, 1, bias="bias" in layer)
    plain.weight = weight
    if "bias" in layer:
        plain.bias = layer.bias
    plain.freeze()
    return plain


@contextmanager
def memory_limits(memory_gb: float | None, cache_gb: float | None) -> Iterator[None]:
    """MLX's limits inside, in GB of a thousand million bytes; None leaves one as it is."""
    limits = [(mx.set_memory_limit, memory_gb), (mx.set_cache_limit, cache_gb)]
    former = [(put, put(round(gb * 1e9))) for put, gb in limits if gb is not None]
    try:
        yield
    finally:
        for put, limit in former:
            put(limit)


@contextmanager
def wired_memory() -> Iterator[None]:
    """mlx-lm's limit for memory that the GPU keeps wired, where the device recommends one."""
    former = maybe_set_recommended_wired_limit()
    try:
        yield
    finally:
        if former is not None:
            mx.set_wired_limit(former)
