"""builtin:tiny, a small random Qwen2 in mlx-lm's format on disk, so that everything runs without a download.

Built from the first of the shipped poems (for the tokenizer) and a fixed seed (for the weights), once, into a cache.
It has learned nothing: it is for trying the harness and for tests.
"""

import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

import mlx.core as mx
from mlx.utils import tree_flatten, tree_map_with_path

from harness.config.paths import ROOT
from harness.models import byte_level
from harness.models.randomness import seeded

_SEED = 20
_POEMS = ROOT / "data" / "poems.json"
_POEMS_READ = 126  # the first ones only: poems that are added later leave its tokenizer and weights the same bytes

CONFIG = {
    "model_type": "qwen2",
    "architectures": ["Qwen2ForCausalLM"],
    "hidden_size": 64,
    "num_hidden_layers": 8,
    "intermediate_size": 128,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-6,
    "max_position_embeddings": 2048,
    "rope_theta": 10000.0,
    "tie_word_embeddings": True,
    "torch_dtype": "float32",
}

_VOCAB_SIZE = 1536  # at most; fewer when the poems have no more pairs to merge


def recipe(poems: Path = _POEMS) -> str:
    """Names what `build` makes: this file, that of the tokenizer and the text that they read are all there is in it."""
    code = Path(__file__).read_bytes() + Path(byte_level.__file__).read_bytes()
    return hashlib.sha256(code + "\0".join(_texts(poems)).encode()).hexdigest()[:12]


def build(target: Path, poems: Path = _POEMS) -> None:
    """Write config, tokenizer and weights into `target`."""
    frequencies = _save_tokenizer(_texts(poems), target)
    config = CONFIG | {"vocab_size": frequencies.size}
    (target / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    with seeded(_SEED):
        weights = _random_weights(config, frequencies)
    mx.save_safetensors(str(target / "model.safetensors"), weights, {"format": "mlx"})


def _texts(poems: Path) -> list[str]:
    """The themes and bodies that the tokenizer is made of."""
    first = json.loads(poems.read_text("utf-8"))[:_POEMS_READ]
    return [text for poem in first for text in poem.values()]


def _save_tokenizer(texts: list[str], target: Path) -> mx.array:
    """Train and save the tokenizer; returns each token's log frequency in the texts, float [vocab]."""
    tokenizer = byte_level.learned(texts + ["system user assistant"] * len(texts), vocabulary=_VOCAB_SIZE)
    byte_level.save(tokenizer, target)
    counts = Counter(token for text in texts for token in tokenizer.encode(text).ids)
    return mx.log(mx.array([counts[token] + 0.1 for token in range(tokenizer.get_vocab_size())]))


def _random_weights(config: dict[str, Any], log_frequencies: mx.array) -> dict[str, mx.array]:
    """Normal weights whose size keeps activations near one; norms at one, biases at zero.

    One direction of the embedding says how frequent a token is, as in trained models, so that an adapter
    of a hundred updates can learn more than which characters exist.
    """
    from mlx_lm.models.qwen2 import Model, ModelArgs

    def draw(name: str, value: mx.array) -> mx.array:
        if name.endswith("embed_tokens.weight"):
            direction = mx.random.normal((1, value.shape[1])) / value.shape[1] ** 0.5
            centred = log_frequencies - log_frequencies.mean()
            return mx.random.normal(value.shape) * 0.15 + 0.15 * centred[:, None] * direction
        if value.ndim == 2:
            return mx.random.normal(value.shape) / value.shape[1] ** 0.5
        return mx.ones_like(value) if "norm" in name else mx.zeros_like(value)

    model = Model(ModelArgs.from_dict(config))
    drawn = tree_map_with_path(draw, model.parameters())
    return dict(tree_flatten(drawn))
