"""An adapter worked into the weights."""

from collections.abc import Callable

import mlx.core as mx
import mlx.nn as nn
import pytest

from harness.models.adapter import attached
from harness.models.adapter_files import AdapterSpec
from harness.models.base import Base
from harness.models.fused import fused

TOKENS = mx.array([[5, 6, 7, 8, 9, 10]])


def _with_an_effect(model: nn.Module) -> None:
    """The half of a fresh adapter that is zero gets numbers."""
    key = mx.random.key(0)
    for _, module in model.named_modules():
        if hasattr(module, "lora_b"):
            module.lora_b = mx.random.normal(module.lora_b.shape, scale=0.1, key=key)


@pytest.mark.parametrize("kind", ["lora", "dora"])
def test_fused_layers_compute_what_the_adapter_does_and_it_is_back_after(
    kind: str, base: Base, make_spec: Callable[..., AdapterSpec]
) -> None:
    model = base.model
    bare = model(TOKENS)
    with attached(model, make_spec(fine_tune_type=kind), seed=0):
        _with_an_effect(model)
        with_adapter = model(TOKENS)
        with fused(model, dequantize=True) as names:
            assert names and not any(hasattr(module, "lora_a") for _, module in model.named_modules())
            assert mx.allclose(model(TOKENS), with_adapter, atol=1e-4).item()
        assert mx.array_equal(model(TOKENS), with_adapter).item()
    assert mx.array_equal(model(TOKENS), bare).item()
    assert not mx.allclose(with_adapter, bare, atol=1e-2).item()
