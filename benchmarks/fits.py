"""What tuning large models would need, predicted: python -m benchmarks.fits

The models are built from their configurations alone, lazily: no weight is read, nothing is computed. The prediction is
the one that a run makes (harness/tuning/memory.py; how near it comes: benchmarks/prediction.py).
"""

from dataclasses import replace
from typing import Any

import click
import mlx.core as mx
import mlx.nn as nn
from hydra import compose, initialize_config_dir
from mlx_lm.models.qwen2 import Model, ModelArgs

from harness.config.load import from_hydra
from harness.config.paths import CONF
from harness.config.schema import Config
from harness.models.adapter import attached, spec_for
from harness.tuning.batches import bucket_width
from harness.tuning.engine import head_chunk
from harness.tuning.memory import Load, Need, sampling_need, shape_of, tail_weights, training_need

_SHARED: dict[str, Any] = {
    "model_type": "qwen2",
    "hidden_size": 5120,
    "num_attention_heads": 40,
    "num_key_value_heads": 8,
    "vocab_size": 152064,
    "rms_norm_eps": 1e-6,
    "rope_theta": 1e6,
    "tie_word_embeddings": False,
}
MODELS = {
    "Qwen2.5 14B": _SHARED | {"num_hidden_layers": 48, "intermediate_size": 13824},
    "Qwen2.5 32B": _SHARED | {"num_hidden_layers": 64, "intermediate_size": 27648},
}
# model, last blocks adapted, rows at once, tokens of the longest row, gigabytes of the Mac
CASES = [("Qwen2.5 14B", 16, 1, 512, 16), ("Qwen2.5 32B", 16, 1, 512, 32)]
PROMPT, WRITTEN, SHORT = 64, 512, 96  # SHORT: a short row, such as steps are compared on


@click.command()
def main() -> None:
    """Print GB by phase, with everything computed and with what can be left out."""
    print(f"{'4-bit':13} {'adapted':>8} {'Mac':>6} {'':24} {'checking':>9} {'training':>9} {'writing':>9}")
    for name, adapted, batch, longest, mac in CASES:
        for label, needs in _needs(MODELS[name], adapted, batch, longest).items():
            shown = " ".join(f"{need.total / 1e9:9.1f}" if need else f"{'':9}" for need in needs)
            print(f"{name:13} {adapted:8} {mac:3} GB {label:24} {shown}")


def _needs(sizes: dict[str, Any], adapted: int, batch: int, longest: int) -> dict[str, list[Need | None]]:
    """Half of each row is learned."""
    model = Model(ModelArgs.from_dict(sizes))
    model.set_dtype(mx.bfloat16)
    nn.quantize(model, group_size=64, bits=4)
    model.freeze()
    words = [f"lora.num_layers={adapted}", f"train.batch_size={batch}", "train.grad_checkpoint=true"]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = from_hydra(compose("config", words), Config)
    spec = spec_for(config.lora, model, base="", base_revision="")
    width = bucket_width(longest)
    with attached(model, spec, seed=0):
        shape = shape_of(model, spec, sizes)
        at = sizes["num_hidden_layers"] - adapted
        tail = tail_weights(model, at, sizes)
    writing = sampling_need(shape, PROMPT, WRITTEN, 1)
    everything = training_need(shape, config.train, Load(width, None, shape.weights))
    ours = training_need(shape, config.train, Load(width, width // 2, tail, head_chunk(shape.vocabulary)))
    few = replace(config.train, batch_size=2, grad_checkpoint=False)
    checking = training_need(shape, few, Load(SHORT, None, tail + 3 * (shape.weights - tail) // at))
    return {"everything computed": [None, everything, writing], "tail, targets, chunks": [checking, ours, writing]}


if __name__ == "__main__":
    main(prog_name="python -m benchmarks.fits")
