"""Arrays by name in one safetensors file, written whole and sealed, read only as they were written."""

from pathlib import Path

import mlx.core as mx

from harness.errors import DamagedError
from harness.files import write_whole
from harness.models.weights_file import UNSEALED, check_sealed, seal

Arrays = dict[str, mx.array]


def save_arrays(path: Path, arrays: Arrays, metadata: dict[str, str]) -> None:
    """The file is always one whole one: the former or this.

    Raises:
        WriteError: when it cannot be written.
    """

    def write(file: Path) -> None:
        mx.save_safetensors(str(file), arrays, metadata | UNSEALED)
        seal(file)

    write_whole(path, write)


def load_arrays(path: Path) -> tuple[Arrays, dict[str, str]]:
    """Arrays and metadata of a file; one that nobody sealed is read as it is.

    Raises:
        DamagedError: when there is no such file, or it is not what was written.
    """
    check_sealed(path)
    try:
        arrays, metadata = mx.load(str(path), return_metadata=True)
    except (RuntimeError, ValueError) as error:
        raise DamagedError(path, f"is not a readable safetensors file: {error}", "copy it again") from error
    return arrays, metadata


def no_numbers(path: Path) -> list[str]:
    """The names of the arrays of a file that hold a NaN or an infinity, in order.

    Raises:
        DamagedError: as above.
    """
    arrays, _ = load_arrays(path)
    return sorted(name for name, array in arrays.items() if not mx.isfinite(array).all().item())
