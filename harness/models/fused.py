"""An adapter worked into the weights of the layers that it is on, for as long as that is wanted.

Knows mlx-lm's adapted layers. Does not know files: who keeps a fused model saves it inside.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_unflatten


@contextmanager
def fused(model: nn.Module, *, dequantize: bool) -> Iterator[list[str]]:
    """Inside, plain layers stand where an adapter is attached (adapter.loaded); gives their names.

    `dequantize`: layers that were quantized stay in full precision; else they are quantized again as they were, which
    can round a small adapter away.
    """
    adapted = [(name, module) for name, module in model.named_modules() if hasattr(module, "fuse")]
    model.update_modules(tree_unflatten([(name, module.fuse(dequantize=dequantize)) for name, module in adapted]))
    try:
        mx.eval([module.parameters() for name, module in model.named_modules() if name in dict(adapted)])
        yield [name for name, _ in adapted]
    finally:
        model.update_modules(tree_unflatten(adapted))
