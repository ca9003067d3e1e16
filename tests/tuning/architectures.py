"""Tiny random models of the architectures that users tune: four blocks of width 32 or so."""

from importlib import import_module
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_map

from harness.models.randomness import seeded

_SHARED: dict[str, Any] = {
    "hidden_size": 64,
    "num_hidden_layers": 4,
    "intermediate_size": 96,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-6,
    "vocab_size": 256,
    "head_dim": 16,
    "max_position_embeddings": 512,
    "rope_theta": 10000.0,
}
_MOE = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 64, "norm_topk_prob": True}

ARCHITECTURES: dict[str, dict[str, Any]] = {
    "qwen2": {"tie_word_embeddings": True},
    "qwen3": {"tie_word_embeddings": True},
    "llama": {"tie_word_embeddings": False},
    "qwen3_moe": {"tie_word_embeddings": False, "decoder_sparse_step": 1, "mlp_only_layers": [], **_MOE},
    "mixtral": {"num_local_experts": 4, "num_experts_per_tok": 2},
    "gemma3_text": {"query_pre_attn_scalar": 16, "sliding_window": 8, "sliding_window_pattern": 2},
    "smollm3": {"tie_word_embeddings": True, "no_rope_layer_interval": 2},
    "ministral3": {
        "tie_word_embeddings": False,
        "sliding_window": 8,
        "layer_types": ["sliding_attention", "full_attention"] * 2,
        "rope_parameters": {
            "type": "yarn",
            "rope_theta": 10000.0,
            "factor": 2.0,
            "original_max_position_embeddings": 256,
            "beta_fast": 32.0,
            "beta_slow": 1.0,
            "mscale": 1.0,
            "mscale_all_dim": 1.0,
            "llama_4_scaling_beta": 0.1,
        },
    },
}


def make_model(name: str, kind: str) -> nn.Module:
    """`kind`: float32, bfloat16, 4-bit (on bfloat16) or 4-bit on float32.

    Frozen, in evaluation mode, the same every time.
    """
    module = import_module(f"mlx_lm.models.{name}")
    model = module.Model(module.ModelArgs.from_dict({"model_type": name, **_SHARED, **ARCHITECTURES[name]}))
    with seeded(7):
        model.update(tree_map(lambda value: 0.1 * mx.random.normal(value.shape), model.parameters()))
        mx.eval(model.parameters())
    if not kind.endswith("float32"):
        model.set_dtype(mx.bfloat16)
    if kind.startswith("4-bit"):
        nn.quantize(model, group_size=32, bits=4)
    model.freeze()
    model.eval()
    return model
