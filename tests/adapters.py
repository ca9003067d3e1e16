"""Random adapters on disk that change much of what a model computes."""

from collections.abc import Sequence
from pathlib import Path

import mlx.core as mx
import mlx.nn as nn

from harness.models.adapter import adapter_weights, attached, save_weights
from harness.models.adapter_files import AdapterFiles, AdapterSpec, save_spec
from harness.models.adapter_reading import read_adapter


def random_adapter(
    model: nn.Module,
    folder: Path,
    *,
    keys: Sequence[str],
    rank: int = 4,
    num_layers: int = 2,
    kind: str = "lora",
    seed: int = 0,
) -> AdapterFiles:
    folder.mkdir(parents=True)
    spec = AdapterSpec(kind, rank, 8.0, 0.3, num_layers, list(keys), None, None)
    with attached(model, spec, seed=seed):
        started = adapter_weights(model)
    drawn = {
        name: value + 0.2 * mx.random.normal(value.shape, key=mx.random.key(seed * 1000 + number))
        for number, (name, value) in enumerate(sorted(started.items()))
    }
    save_weights(folder / "adapters.safetensors", drawn, {})
    save_spec(folder, spec)
    return read_adapter(folder)
