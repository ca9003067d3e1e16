"""The models that come with the harness, by name, so that everything runs without a download.

`builtin:small` writes plain prose about a theme in Chinese and English; tools/pretrain made it, and its README says how
well it does. `builtin:tiny` has random weights: for what needs no sense. Knows nothing of how a base is loaded.
"""

import hashlib
import shutil
from pathlib import Path

import mlx.core as mx

from harness.config.paths import MLRUNS
from harness.files.once import made_once
from harness.models import tiny

SMALL = "builtin:small"
TINY = "builtin:tiny"
NAMES = (SMALL, TINY)
SHIPPED = Path(__file__).parent / "small"


def folder(name: str, cache: Path = MLRUNS / "cache") -> Path:
    """The model's files, made if they are not there yet."""
    if name == TINY:
        return made_once(cache / f"tiny-{tiny.recipe()}", tiny.build)
    weights = (SHIPPED / "model.safetensors").read_bytes()
    return made_once(cache / f"small-{hashlib.sha256(weights).hexdigest()[:12]}", _widen)


def _widen(target: Path) -> None:
    """The shipped files with weights in float32: MLX multiplies bfloat16 on a CPU many times slower."""
    for file in SHIPPED.iterdir():
        if file.name != "model.safetensors":
            shutil.copy(file, target)
    weights = mx.load(str(SHIPPED / "model.safetensors"))
    assert isinstance(weights, dict)
    wide = {name: value.astype(mx.float32) for name, value in weights.items()}
    mx.save_safetensors(str(target / "model.safetensors"), wide, {"format": "mlx"})
