"""Safetensors files: whether one is whole, and what its header says of it."""

from pathlib import Path

from safetensors import SafetensorError, safe_open

from harness.errors import HarnessError


def read_metadata(path: Path) -> dict[str, str]:
    """The metadata in a file's header. The tensors are not read, but all of them must be there.

    Raises:
        HarnessError: when the file is cut or is something else.
    """
    try:
        with safe_open(path, framework="np") as file:
            return dict(file.metadata() or {})
    except (OSError, SafetensorError) as error:
        raise HarnessError(f"{path} is not a readable safetensors file: {error}; copy or download it again") from error
