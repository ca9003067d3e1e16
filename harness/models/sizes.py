"""Sizes of a model that its modules tell, whatever its configuration calls them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten

# by which names configurations call the same
_VOCABULARY = ("vocab_size", "padded_vocab_size", "n_vocab")
_HEADS = ("num_attention_heads", "n_head", "n_heads", "num_heads", "num_query_heads")
_KEY_HEADS = ("num_key_value_heads", "n_kv_heads", "num_kv_heads", "kv_n_heads", "n_head_kv", "num_attention_groups")
_BLOCKS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers", "num_transformer_layers")
_WITHIN = ("text_config", "llm_config", "language_config", "attn_config")


@dataclass(frozen=True)
class Sizes:
    """`hidden`: numbers a position between blocks; `vocabulary`: tokens that the weights know; `heads`: of attention,
    0 for a model that has none; `cached`: numbers of keys and values a position and block.
    """

    hidden: int
    vocabulary: int
    heads: int
    cached: int


def sizes_of(model: nn.Module, settings: Mapping[str, Any]) -> Sizes:
    """`settings`: the model's config.json, for what its modules do not tell. Evaluates nothing."""
    rows, hidden = _embedding(model, _stated(settings, _VOCABULARY))
    heads = _largest(_stated(settings, _HEADS)) or 0
    key_heads = _largest(_stated(settings, _KEY_HEADS)) or heads
    head_width = int(_stated(settings, ("head_dim",)) or (hidden // heads if heads else 0))
    return Sizes(hidden=hidden, vocabulary=rows, heads=heads, cached=2 * head_width * key_heads)


def num_blocks_stated(settings: Mapping[str, Any]) -> int | None:
    """Blocks of the text model by its config.json alone; None where that does not say."""
    found = _stated(settings, _BLOCKS)
    return None if found is None else int(found)


def _embedding(model: nn.Module, vocabulary: Any) -> tuple[int, int]:
    """Rows and width of the embedding of tokens: that of the stated size, or the largest outside the blocks."""
    within = {id(module) for block in model.layers for module in block.modules()}
    found = [
        _unpacked(module)
        for module in model.modules()
        if id(module) not in within and isinstance(module, nn.Embedding | nn.QuantizedEmbedding)
    ]
    stated = [shape for shape in found if shape[0] == vocabulary]
    return max(stated or found)


def _unpacked(module: nn.Module) -> tuple[int, int]:
    rows, packed = module.weight.shape
    return rows, packed * 32 // module.bits if "scales" in module else packed


def _stated(settings: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    """What the configuration, or a part of it, says under the first of the names that it has; None for nothing."""
    parts = [settings, *(settings[part] for part in _WITHIN if isinstance(settings.get(part), Mapping))]
    return next((part[name] for part in parts for name in names if part.get(name) is not None), None)


def _largest(value: Any) -> int | None:
    return None if value is None else int(max(value) if isinstance(value, list) else value)


def activation_bytes(block: nn.Module) -> int:
    """Bytes of a number that a block computes: 4 in float32, else 2."""
    values = [value for _, value in tree_flatten(block.parameters())]
    return min((value.dtype.size for value in values if mx.issubdtype(value.dtype, mx.floating)), default=4)
