"""What the frozen blocks make of the rows, computed by several processes: each its share, then each has all of it.

Rows are computed in the batches in which one process would, so the bits are the same; and each keeps the same file as
one process, since every update deals its rows anew.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import mlx.core as mx
import mlx.nn as nn
import numpy as np

from harness.data.dataset import Row
from harness.machine.group import Group
from harness.tuning.batches import fixed_rows, padded_tokens
from harness.tuning.hidden import ROWS_AT_ONCE, HiddenRows, compute_hidden, keep, kept_hidden

_SENT_AT_ONCE = 1 << 26  # bytes


def compute_together(
    model: nn.Module,
    at: int,
    rows: Sequence[Row],
    folder: Path,
    *,
    group: Group,
    on_batch: Callable[[int, int], None] = lambda done, total: None,
    release: Callable[[int], None] = lambda block: None,
) -> HiddenRows:
    """As hidden.compute_hidden, of one process alone too. All call it with the same rows.

    Raises:
        LostError: when another process is gone. What was computed of this one's share is gone on with.
    """
    if group.size == 1:
        return compute_hidden(model, at, rows, folder, on_batch=on_batch, release=release)
    there = kept_hidden(at, rows, folder)
    have = group.gather(there is not None)
    if there is not None and all(have):
        return replace(there, inherited=True)
    batches = fixed_rows(rows, ROWS_AT_ONCE)
    share = [row for batch in batches[group.rank :: group.size] for row in batch]
    part = folder.with_name(f"{folder.name}-{group.rank}-of-{group.size}")
    own = compute_hidden(model, at, share, part, on_batch=on_batch, release=release) if share else None
    whole = keep(folder, at, batches, _all_of(batches, own, {row.line for row in share}, group))
    inherited = any(group.gather(own is not None and own.inherited))
    shutil.rmtree(part, ignore_errors=True)
    return replace(whole, inherited=inherited)


def _all_of(
    batches: Sequence[Sequence[Row]], own: HiddenRows | None, share: set[int], group: Group
) -> Iterator[mx.array]:
    """What enters the block, of each batch, whoever computed it. `own`: of the lines in `share`."""
    size = group.share(own and own.bits.shape[1])  # the first process has always computed some
    like = group.share_arrays({} if own is None else {"a number": mx.zeros(1, own.dtype)})["a number"]
    kind = np.dtype(f"uint{8 * like.itemsize}")
    for several in _parts(batches, _SENT_AT_ONCE // (size * kind.itemsize)):
        starts: dict[int, int] = {}
        total = 0
        for row in (row for batch in several for row in batch):
            starts[row.line] = total
            total += len(row.tokens) - 1
        bits = np.zeros((total, size), kind)
        for row in (row for batch in several for row in batch):
            if own is not None and row.line in share:
                length, there = len(row.tokens) - 1, own.starts[row.line]
                bits[starts[row.line] :][:length] = own.bits[there : there + length]
        sent = HiddenRows(np.array(group.sum_bits(mx.array(bits))), like.dtype, starts)
        for batch in several:
            yield sent.batch(batch, padded_tokens(batch).shape[1] - 1)


def _parts(batches: Sequence[Sequence[Row]], positions: int) -> Iterator[list[Sequence[Row]]]:
    """Batches of at most so many positions together, or one."""
    part: list[Sequence[Row]] = []
    count = 0
    for batch in batches:
        more = sum(len(row.tokens) - 1 for row in batch)
        if part and count + more > positions:
            yield part
            part, count = [], 0
        part.append(batch)
        count += more
    yield part
