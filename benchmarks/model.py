"""A random Qwen2 of realistic proportions and lines of realistic lengths, for benchmarks.

The tokenizer is that of builtin:tiny; the vocabulary is padded to the size asked for.
"""

import json
import shutil
from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from mlx.utils import tree_flatten, tree_map
from mlx_lm.models.qwen2 import Model, ModelArgs

from harness.models import builtin, tiny
from harness.models.randomness import seeded


def build_model(folder: Path, *, width: int, blocks: int, vocabulary: int, kind: mx.Dtype = mx.float32) -> None:
    """Write a model that stock mlx-lm loads; heads of 32, three times the width inside."""
    config = tiny.CONFIG | {
        "hidden_size": width,
        "num_hidden_layers": blocks,
        "intermediate_size": 3 * width,
        "num_attention_heads": width // 32,
        "num_key_value_heads": max(width // 128, 1),
        "vocab_size": vocabulary,
    }
    tokens = tokens_known()
    assert vocabulary >= tokens, f"the tokenizer has {tokens} tokens, more than the vocabulary of {vocabulary}"
    shutil.copytree(builtin.folder(builtin.TINY), folder)
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    model = Model(ModelArgs.from_dict(config))
    with seeded(1):
        weights = tree_map(lambda value: (mx.random.normal(value.shape) * 0.05).astype(kind), model.parameters())
    mx.save_safetensors(str(folder / "model.safetensors"), dict(tree_flatten(weights)), {"format": "mlx"})


def tokens_known() -> int:
    """Of the tokenizer."""
    return int(json.loads((builtin.folder(builtin.TINY) / "config.json").read_text("utf-8"))["vocab_size"])


def never_ends(folder: Path) -> None:
    """Give a model an end marker that no random text meets, so that all sides write as much."""
    config = json.loads((folder / "config.json").read_text("utf-8"))
    config["eos_token_id"] = config["vocab_size"] - 1
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")


def write_data(folder: Path, *, rows: int, valid_rows: int, median: int, longest: int) -> None:
    """Plain text lines of log-normal length (in characters, nearly tokens here), of the shipped poems' characters."""
    _write(folder, rows, valid_rows, lambda rng: {"text": _text(rng, _length(rng, median, longest - 8))})


def write_conversations(folder: Path, *, rows: int, valid_rows: int, prompt: int = 40) -> None:
    """Prompts of that many characters (a few tokens more with the template's), completions of log-normal length."""

    def line(rng: np.random.Generator) -> dict[str, str]:
        return {"prompt": _text(rng, prompt), "completion": _text(rng, _length(rng, 60, 190))}

    _write(folder, rows, valid_rows, line)


def _write(folder: Path, rows: int, valid_rows: int, line: Callable[[np.random.Generator], dict[str, str]]) -> None:
    rng = np.random.default_rng(0)
    folder.mkdir()
    for name, count in (("train", rows), ("valid", valid_rows)):
        text = "".join(json.dumps(line(rng), ensure_ascii=False) + "\n" for _ in range(count))
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")


def _length(rng: np.random.Generator, median: int, longest: int) -> int:
    return int(min(rng.lognormal(np.log(median), 0.6), longest)) + 4


def _text(rng: np.random.Generator, length: int) -> str:
    return "".join(rng.choice(_characters(), length))


@cache
def _characters() -> list[str]:
    poems = json.loads((Path(__file__).parents[1] / "data" / "poems.json").read_text("utf-8"))
    return [c for poem in poems for c in poem["body"] if c != "\n"]


_HYBRID = {
    "hidden_size": 128,
    "num_hidden_layers": 8,
    "intermediate_size": 384,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 64,
    "vocab_size": 4096,
    "rms_norm_eps": 1e-6,
    "rope_theta": 10000.0,
    "partial_rotary_factor": 0.5,
    "max_position_embeddings": 4096,
    "full_attention_interval": 4,
    "linear_num_key_heads": 1,
    "linear_num_value_heads": 2,
    "linear_key_head_dim": 128,
    "linear_value_head_dim": 128,
    "linear_conv_kernel_dim": 4,
    "tie_word_embeddings": True,
}
_EXPERTS = {
    "num_experts": 4,
    "num_experts_per_tok": 2,
    "decoder_sparse_step": 1,
    "mlp_only_layers": [],
    "moe_intermediate_size": 192,
    "shared_expert_intermediate_size": 192,
    "norm_topk_prob": True,
}
# by mlx-lm's name of the architecture
HYBRIDS: dict[str, dict[str, Any]] = {"qwen3_5": _HYBRID, "qwen3_next": _HYBRID | _EXPERTS}


def make_hybrid(name: str) -> nn.Module:
    """A random model of which three of four blocks have gated delta rules.

    In proportions like those of mlx-lm's defaults for Qwen3.5: to a width of 128 two value heads of 128 by 128.
    """
    module = import_module(f"mlx_lm.models.{name}")
    model: nn.Module = module.Model(module.ModelArgs.from_dict({"model_type": name, **HYBRIDS[name]}))
    with seeded(1):
        model.update(tree_map(lambda value: mx.random.normal(value.shape) * 0.05, model.parameters()))
        mx.eval(model.parameters())
    model.freeze()
    model.eval()
    return model
