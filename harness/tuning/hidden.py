"""What the frozen blocks make of each row, computed once and kept in a file: unpadded, as the model's own bits.

A folder holds one split of one base, a file for each cut: the bits of all rows one after the other, and beside it
their places and checksums. A deeper cut begins with the deepest file above it, so an interrupted one goes on.
"""

import json
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from numpy.typing import NDArray

from harness.data.dataset import Row
from harness.files import one_at_a_time, write_json, write_whole
from harness.tuning.batches import fixed_rows, padded_tokens
from harness.tuning.cut import between, hands_on_more

ROWS_AT_ONCE = 4  # always: a row's bits may depend on the shape that it was computed in
_KINDS: dict[str, tuple[Any, mx.Dtype, mx.Dtype]] = {
    "float32": (np.uint32, mx.uint32, mx.float32),
    "bfloat16": (np.uint16, mx.uint16, mx.bfloat16),
    "float16": (np.uint16, mx.uint16, mx.float16),
}


@dataclass(frozen=True)
class HiddenRows:
    """`bits`: [positions of all rows, hidden size], mapped from its file; `starts`: where a row begins, by its line.

    `inherited`: not all of it was computed here, and it was not compared with the model since.
    """

    bits: NDArray[np.unsignedinteger]
    dtype: mx.Dtype
    starts: dict[int, int]
    inherited: bool = False

    def batch(self, rows: Sequence[Row], width: int) -> mx.array:
        """[rows, width, hidden size], zeros where a row is padded."""
        padded = np.zeros((len(rows), width, self.bits.shape[1]), self.bits.dtype)
        for index, row in enumerate(rows):
            start, length = self.starts[row.line], len(row.tokens) - 1
            padded[index, :length] = self.bits[start : start + length]
        return mx.array(padded).view(self.dtype)


def hidden_bytes(rows: Sequence[Row], hidden_size: int, item: int) -> int:
    """What a file will take; there are two at a time while it is computed."""
    return sum(len(row.tokens) - 1 for row in rows) * hidden_size * item


def kept_hidden(at: int, rows: Sequence[Row], folder: Path) -> HiddenRows | None:
    """What an earlier process kept of all rows, if it did and it is whole."""
    lengths = {row.line: len(row.tokens) - 1 for row in rows}
    return _whole_at(folder, at, lengths)


def compute_hidden(
    model: nn.Module,
    at: int,
    rows: Sequence[Row],
    folder: Path,
    *,
    on_batch: Callable[[int, int], None] = lambda done, total: None,
    release: Callable[[int], None] = lambda block: None,
) -> HiddenRows:
    """What enters block `at`, of all rows, from its file or computed into it.

    Block after block, so that one block's weights are needed at a time, unless blocks hand on more than hidden states;
    `release` is told which is not needed any more, `on_batch` how many batches of how many are done. One process
    computes, others wait for it.

    Raises:
        WriteError: when the file cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    batches = fixed_rows(rows, ROWS_AT_ONCE)
    with one_at_a_time(folder / ".lock"):
        start, found = _deepest(folder, at, rows)
        if start < at and hands_on_more(model):  # to a block further on, perhaps
            start, found, parts = 0, None, [(0, at)]
        else:
            parts = [(block, block + 1) for block in range(start, at)]
        for done, (begin, end) in enumerate(parts):
            tell = partial(_told, on_batch, done, len(parts), len(batches))
            found = _through_blocks(model, begin, end, batches, found, folder, tell)
            for block in range(begin, end):
                release(block)
            if begin > start:  # on the way only; what was there before stays
                _remove(folder, begin)
    assert found is not None, "at is at least 1"
    return replace(found, inherited=start > 0)


def _through_blocks(
    model: nn.Module,
    begin: int,
    end: int,
    batches: Sequence[Sequence[Row]],
    before: HiddenRows | None,
    folder: Path,
    on_batch: Callable[[int], None],
) -> HiddenRows:
    """What enters block `end`, into its file; `before` entered block `begin`."""

    def computed(compute: Callable[[mx.array, mx.array | None], mx.array]) -> Iterator[mx.array]:
        for done, batch in enumerate(batches, start=1):
            tokens = padded_tokens(batch)[:, :-1]
            yield compute(mx.array(tokens), before.batch(batch, tokens.shape[1]) if before else None)
            on_batch(done)

    model.eval()
    with between(model, begin, end) as compute:
        return keep(folder, end, batches, computed(compute))


def keep(folder: Path, cut: int, batches: Sequence[Sequence[Row]], hidden_states: Iterator[mx.array]) -> HiddenRows:
    """What enters block `cut`, [rows, width, hidden size] of each batch, into its file."""
    starts: dict[int, int] = {}
    total = 0
    for batch in batches:
        for row in batch:
            starts[row.line] = total
            total += len(row.tokens) - 1
    checksums: dict[int, int] = {}
    kind, size = "", 0

    def write(file: Path) -> None:
        nonlocal kind, size
        with file.open("wb") as out:
            for batch, hidden in zip(batches, hidden_states, strict=True):
                kind, size = str(hidden.dtype).rpartition(".")[2], hidden.shape[-1]
                computed = np.array(hidden.view(_KINDS[kind][1]))
                for row, bits in zip(batch, computed, strict=True):
                    content = np.ascontiguousarray(bits[: len(row.tokens) - 1]).tobytes()
                    checksums[row.line] = zlib.crc32(content)
                    out.write(content)

    write_whole(_bits_file(folder, cut), write, durable=False)  # it can be computed again
    index = {"dtype": kind, "size": size, "starts": list(starts.items()), "checksums": list(checksums.items())}
    write_json(_index_file(folder, cut), index)
    return _open(folder, cut)


def _deepest(folder: Path, at: int, rows: Sequence[Row]) -> tuple[int, HiddenRows | None]:
    """The deepest cut up to `at` that is there whole. What is damaged is removed."""
    lengths = {row.line: len(row.tokens) - 1 for row in rows}
    for cut in range(at, 0, -1):
        if (found := _whole_at(folder, cut, lengths)) is not None:
            return cut, found
    return 0, None


def _whole_at(folder: Path, cut: int, lengths: dict[int, int]) -> HiddenRows | None:
    """`lengths`: of the rows, by line. What is damaged is removed."""
    if not _index_file(folder, cut).exists():
        return None
    try:
        found = _open(folder, cut)
        checksums = dict(json.loads(_index_file(folder, cut).read_text("utf-8"))["checksums"])
        if _whole(found, lengths, checksums):
            return found
    except (OSError, ValueError, KeyError):
        pass
    _remove(folder, cut)
    return None


def _whole(found: HiddenRows, lengths: dict[int, int], checksums: dict[int, int]) -> bool:
    if lengths.keys() != checksums.keys():
        return False
    parts = ((line, found.starts[line], length) for line, length in lengths.items())
    return all(zlib.crc32(found.bits[at : at + length].tobytes()) == checksums[line] for line, at, length in parts)


def _open(folder: Path, cut: int) -> HiddenRows:
    index = json.loads(_index_file(folder, cut).read_text("utf-8"))
    bits_kind, _, dtype = _KINDS[index["dtype"]]
    bits = np.memmap(_bits_file(folder, cut), bits_kind, "r").reshape(-1, index["size"])
    return HiddenRows(bits, dtype, dict(index["starts"]))


def _remove(folder: Path, cut: int) -> None:
    _index_file(folder, cut).unlink(missing_ok=True)
    _bits_file(folder, cut).unlink(missing_ok=True)


def _bits_file(folder: Path, cut: int) -> Path:
    return folder / f"cut-{cut:04d}.bin"


def _index_file(folder: Path, cut: int) -> Path:
    return folder / f"cut-{cut:04d}.json"


def _told(on_batch: Callable[[int, int], None], block: int, blocks: int, batches: int, done: int) -> None:
    on_batch(block * batches + done, blocks * batches)
