"""Whether mlx.launch started this process as one of several. Asks the environment alone: no library is loaded."""

import json
import os
from pathlib import Path


def is_one_of_several() -> bool:
    """Of several processes that mlx.launch started together; not so with -n 1."""
    if "MLX_RANK" not in os.environ:
        return False
    return int(os.environ.get("MLX_WORLD_SIZE", "1")) > 1 or any(
        map(_names_several, ("MLX_HOSTFILE", "MLX_IBV_DEVICES"))
    )


def own_number() -> int:
    """Of this process among them, from 0."""
    return int(os.environ["MLX_RANK"])


def _names_several(variable: str) -> bool:
    """Whether the file that a variable names lists more than one; what cannot be read, MLX is to refuse."""
    if variable not in os.environ:
        return False
    try:
        return len(json.loads(Path(os.environ[variable]).read_text("utf-8").strip() or "[]")) > 1
    except (OSError, ValueError):
        return True
