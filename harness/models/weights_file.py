"""Safetensors files: whether one is whole and as it was written, and what its header says of it.

A file of ours is sealed: its metadata hold the CRC-32 of all its bytes, taken with the eight digits of the CRC itself
as zeros. So a changed byte is noticed wherever it is, header included, without reading a tensor. Files of others have
no seal and are read as they are. Knows nothing of MLX.
"""

import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from safetensors import SafetensorError, safe_open

from harness.errors import DamagedError

# what to put into the metadata of a file that is then sealed
UNSEALED = {"checksum": "crc32:00000000"}

_AGAIN = "copy or download it again"
_SEAL = re.compile(rb'"checksum"\s*:\s*"crc32:([0-9a-f]{8})"')
_REMAINS = re.compile(rb'"checksum"\s*:\s*"|(?<!\\)"crc32:')  # one changed byte leaves one of them
_LONGEST_HEADER = 100_000_000  # bytes, safetensors' own limit
_PART = 1 << 24  # bytes read at a time


def read_metadata(path: Path) -> dict[str, str]:
    """The metadata in a file's header. The tensors are not read, but all of them must be there.

    Raises:
        DamagedError: when the file is cut or is something else.
    """
    with _opened(path) as file:
        return dict(file.metadata() or {})


def read_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """The shape of each tensor, from a file's header.

    Raises:
        DamagedError: when the file is cut or is something else.
    """
    with _opened(path) as file:
        return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118


def seal(path: Path) -> None:
    """Put the checksum of a file that was written with `UNSEALED` in its metadata into its header."""
    place = _seal_place(path)
    assert place is not None, "it was written with UNSEALED in its metadata"
    digits = b"%08x" % _checksum(path, place)
    with path.open("rb+") as file:
        file.seek(place)
        file.write(digits)


def check_sealed(path: Path) -> None:
    """Compare a file's bytes with its seal; a file without one passes.

    Raises:
        DamagedError: when the file is cut, is something else, or is not what was written.
    """
    read_metadata(path)  # the header is sound
    place = _seal_place(path)
    if place is None:
        return
    with path.open("rb") as file:
        file.seek(place)
        said = file.read(8)
    if said != b"%08x" % _checksum(path, place):
        raise DamagedError(path, "was changed since it was written: its checksum does not fit", _AGAIN)


def _opened(path: Path) -> safe_open:
    try:
        return safe_open(path, framework="np")
    except (OSError, SafetensorError) as error:
        raise DamagedError(path, f"is not a readable safetensors file: {error}", _AGAIN) from error


def _seal_place(path: Path) -> int | None:
    """Where in the file the digits of its seal are; None when it has none."""
    with path.open("rb") as file:
        header = file.read(8)
        header += file.read(min(int.from_bytes(header, "little"), _LONGEST_HEADER))
    found = _SEAL.search(header)
    if found is None and _REMAINS.search(header):
        raise DamagedError(path, "was changed since it was written: its checksum is not readable", _AGAIN)
    return None if found is None else found.start(1)


def _checksum(path: Path, place: int) -> int:
    """CRC-32 of a file's bytes, with eight zeros at `place`."""
    with path.open("rb") as file:
        result = zlib.crc32(b"0" * 8, zlib.crc32(file.read(place)))
        file.seek(place + 8)
        for part in _parts(file):
            result = zlib.crc32(part, result)
    return result


def _parts(file: BinaryIO) -> Iterator[bytes]:
    while part := file.read(_PART):
        yield part
