"""What the frozen blocks make of each row, computed once: unpadded, as the bits that the model computed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from numpy.typing import NDArray

from harness.data.dataset import Row
from harness.tuning.batches import fixed_rows, padded_tokens
from harness.tuning.cut import between

_ROWS_AT_ONCE = 4  # always: a row's bits may depend on the shape that it was computed in
_BITS = {2: (np.uint16, mx.uint16), 4: (np.uint32, mx.uint32)}


@dataclass(frozen=True)
class HiddenRows:
    """`bits`: [positions of all rows, hidden size]; `starts`: where a row begins, by its line."""

    bits: NDArray[np.unsignedinteger]
    dtype: mx.Dtype
    starts: dict[int, int]

    @property
    def nbytes(self) -> int:
        return self.bits.nbytes

    def batch(self, rows: Sequence[Row], width: int) -> mx.array:
        """[rows, width, hidden size], zeros where a row is padded."""
        padded = np.zeros((len(rows), width, self.bits.shape[1]), self.bits.dtype)
        for index, row in enumerate(rows):
            start, length = self.starts[row.line], len(row.tokens) - 1
            padded[index, :length] = self.bits[start : start + length]
        return mx.array(padded).view(self.dtype)


def hidden_bytes(rows: Sequence[Row], hidden_size: int, item: int) -> int:
    """What HiddenRows will take."""
    return sum(len(row.tokens) - 1 for row in rows) * hidden_size * item


def compute_hidden(
    model: nn.Module,
    at: int,
    rows: Sequence[Row],
    *,
    on_batch: Callable[[int, int], None] = lambda done, total: None,
    release: Callable[[int], None] = lambda block: None,
) -> HiddenRows:
    """What enters block `at`, of all rows: block after block, so that one block's weights are needed at a time.

    Tells `on_batch` how many batches of how many are done, and `release` which block is not needed any more.
    """
    starts: dict[int, int] = {}
    total = 0
    for row in rows:
        starts[row.line] = total
        total += len(row.tokens) - 1
    batches = fixed_rows(rows, _ROWS_AT_ONCE)
    found: HiddenRows | None = None
    model.eval()
    for block in range(at):
        found = _one_block(
            model, block, batches, found, starts, total, partial(_told, on_batch, block, at, len(batches))
        )
        release(block)
    assert found is not None, "at is at least 1"
    return found


def _one_block(
    model: nn.Module,
    block: int,
    batches: Sequence[Sequence[Row]],
    before: HiddenRows | None,
    starts: dict[int, int],
    total: int,
    on_batch: Callable[[int], None],
) -> HiddenRows:
    bits: NDArray[np.unsignedinteger] | None = None
    dtype = mx.float32
    with between(model, block, block + 1) as compute:
        for done, batch in enumerate(batches, start=1):
            tokens = padded_tokens(batch)[:, :-1]
            hidden = compute(mx.array(tokens), before.batch(batch, tokens.shape[1]) if before else None)
            dtype = hidden.dtype
            numpy_kind, mlx_kind = _BITS[dtype.size]
            computed = np.array(hidden.view(mlx_kind))
            if bits is None:
                bits = np.empty((total, hidden.shape[-1]), numpy_kind)
            for row, found in zip(batch, computed, strict=True):
                length = len(row.tokens) - 1
                bits[starts[row.line] : starts[row.line] + length] = found[:length]
            on_batch(done)
    assert bits is not None, "there is at least one row"
    return HiddenRows(bits, dtype, starts)


def _told(on_batch: Callable[[int, int], None], block: int, blocks: int, batches: int, done: int) -> None:
    on_batch(block * batches + done, blocks * batches)
