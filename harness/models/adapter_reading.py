"""An adapter found on disk, in mlx-lm's own format or in PEFT's. Knows which is which; each has its own reader."""

import json
from pathlib import Path

from harness.errors import HarnessError
from harness.models.adapter_files import CONFIG_FILE, WEIGHTS_FILE, AdapterFiles, checkpoint_step, read_mlx_adapter


def read_adapter(path: Path, source: str | None = None) -> AdapterFiles:
    """An adapter's folder (its adapters.safetensors), one checkpoint file in such a folder, or a folder of PEFT's.

    Raises:
        HarnessError: when a part is missing or unreadable.
    """
    if (folder := _of_peft(path)) is not None:
        from harness.models.peft_folder import read_peft  # converts, which takes MLX

        return read_peft(folder, source or str(path))
    return read_mlx_adapter(path, source)


def numbered_checkpoints(
    folder: Path, source: str, *, from_iteration: int | None, first: int | None
) -> list[AdapterFiles]:
    """A folder's checkpoints such as 0001600_adapters.safetensors, from an update on, the first so many of them.

    Raises:
        HarnessError: when there is none.
    """
    steps = {
        step: path
        for path in sorted(folder.glob("*.safetensors"))
        if not path.is_symlink() and (step := checkpoint_step(path)) is not None
    }
    chosen = [path for step, path in sorted(steps.items()) if step >= (from_iteration or 0)][:first]
    if not chosen:
        there = ", ".join(map(str, sorted(steps))) or "none at all"
        said = "" if from_iteration is None else f" from update {from_iteration} on"
        raise HarnessError(f"{source} has no checkpoint{said}; it has {there}")
    return [read_adapter(path, f"{source}/{path.name}") for path in chosen]


def _of_peft(path: Path) -> Path | None:
    """The folder of PEFT's that a path means; None where it means none. Its configuration has the name of ours."""
    folder = path.parent if path.name.startswith("adapter_model.") else path
    if (folder / WEIGHTS_FILE).exists():
        return None
    try:
        content = json.loads((folder / CONFIG_FILE).read_text("utf-8"))
        return folder if "peft_type" in content else None
    except (OSError, ValueError, TypeError):
        return None
