"""A sealed file is read as it was written or not at all; a file that nobody sealed is read as it is."""

from pathlib import Path

import mlx.core as mx
import pytest

from harness.errors import DamagedError
from harness.models.tensors import load_arrays, save_arrays
from harness.models.weights_file import check_sealed, read_shapes

ARRAYS = {"rows": mx.arange(6).reshape(2, 3), "half": mx.ones(3, mx.bfloat16), "step": mx.array(7, mx.uint64)}


@pytest.fixture
def sealed(tmp_path: Path) -> Path:
    path = tmp_path / "arrays.safetensors"
    save_arrays(path, ARRAYS, {"format": "mlx", "note": 'he said "crc32:0" and "checksum"'})
    return path


def test_what_is_saved_is_loaded_with_its_metadata(sealed: Path) -> None:
    arrays, metadata = load_arrays(sealed)
    assert arrays.keys() == ARRAYS.keys() and all(mx.array_equal(arrays[name], ARRAYS[name]) for name in ARRAYS)
    assert metadata["note"] == 'he said "crc32:0" and "checksum"'
    assert read_shapes(sealed) == {"rows": (2, 3), "half": (3,), "step": ()}


def test_every_changed_bit_of_a_file_is_noticed(sealed: Path) -> None:
    """Length, header, seal, padding and tensors: all of it."""
    content = bytearray(sealed.read_bytes())
    for place in range(len(content)):
        for bit in range(8):
            content[place] ^= 1 << bit
            sealed.write_bytes(content)
            with pytest.raises(DamagedError) as caught:
                load_arrays(sealed)
            assert caught.value.path == sealed
            content[place] ^= 1 << bit


@pytest.mark.parametrize("length", [0, 7, 100, -1])
def test_every_cut_is_noticed(length: int, sealed: Path) -> None:
    sealed.write_bytes(sealed.read_bytes()[:length])
    with pytest.raises(DamagedError, match="is not a readable safetensors file: .*; copy or download it again"):
        load_arrays(sealed)


def test_a_file_that_nobody_sealed_is_read(tmp_path: Path) -> None:
    path = tmp_path / "theirs.safetensors"
    mx.save_safetensors(str(path), {**ARRAYS, "checksum": mx.ones(2)}, {"format": "mlx"})
    check_sealed(path)
    assert load_arrays(path)[0].keys() == {*ARRAYS, "checksum"}
