"""A random Qwen2 of realistic proportions and lines of realistic lengths, for benchmarks.

The tokenizer is that of builtin:tiny; the vocabulary is padded to the size asked for.
"""

import harness.models  # noqa: F401, I001  (loads OpenBLAS before anything imports mlx)

import json
import shutil
from pathlib import Path

import mlx.core as mx
import numpy as np
from mlx.utils import tree_flatten, tree_map
from mlx_lm.models.qwen2 import Model, ModelArgs

from harness.models import tiny
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
    shutil.copytree(tiny.folder(), folder)
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    model = Model(ModelArgs.from_dict(config))
    with seeded(1):
        weights = tree_map(lambda value: (mx.random.normal(value.shape) * 0.05).astype(kind), model.parameters())
    mx.save_safetensors(str(folder / "model.safetensors"), dict(tree_flatten(weights)), {"format": "mlx"})


def write_data(folder: Path, *, rows: int, valid_rows: int, median: int, longest: int) -> None:
    """Plain text lines of log-normal length (in characters, nearly tokens here), of the shipped poems' characters."""
    poems = json.loads((Path(__file__).parents[1] / "data" / "poems.json").read_text("utf-8"))
    characters = [c for poem in poems for c in poem["body"] if c != "\n"]
    rng = np.random.default_rng(0)
    folder.mkdir()
    for name, count in (("train", rows), ("valid", valid_rows)):
        lengths = np.minimum(rng.lognormal(np.log(median), 0.6, count), longest - 8).astype(int) + 4
        lines = [{"text": "".join(rng.choice(characters, length))} for length in lengths]
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")
