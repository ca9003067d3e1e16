"""Rows into padded batches: every row once an epoch, few widths, an order that a seed and a position determine.

Knows nothing of models.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import mlx.core as mx
import numpy as np

from harness.data.dataset import Row

_PAD = 0  # never a target, and nothing real attends to it: padding is on the right, attention is causal


@dataclass(frozen=True)
class Batch:
    """`tokens`: int32 [rows, width + 1]; `learn`: bool [rows, width], True where tokens[:, 1:] is a target.

    `lines` are the numbers of the rows' lines in their file.
    """

    tokens: mx.array
    learn: mx.array
    lines: list[int]

    @property
    def computed(self) -> int:
        """Positions that the model computes, padding included."""
        return self.learn.size


def bucket_width(length: int) -> int:
    """The padded width for `length` inputs: four widths an octave, at least 16 apart.

    Few enough that compiled steps are reused, close enough that about a tenth is padding.
    """
    octave = 1 << max(length - 1, 1).bit_length()
    step = max(16, octave // 8)
    return -(-length // step) * step


def to_batch(rows: Sequence[Row]) -> Batch:
    width = bucket_width(max(len(row.tokens) - 1 for row in rows))
    tokens = np.full((len(rows), width + 1), _PAD, np.int32)
    learn = np.zeros((len(rows), width), np.bool_)
    for index, row in enumerate(rows):
        tokens[index, : len(row.tokens)] = row.tokens
        learn[index, : len(row.learn) - 1] = row.learn[1:]
    return Batch(mx.array(tokens), mx.array(learn), [row.line for row in rows])


def epoch_batches(rows: Sequence[Row], batch_size: int, *, seed: int, epoch: int) -> list[list[int]]:
    """Row indices of one epoch's batches, rows of like length together, in random order.

    When the rows do not fill whole batches, one batch of random rows is smaller.
    """
    rng = np.random.default_rng([seed, epoch])
    order = rng.permutation(len(rows)).tolist()
    remainder = len(rows) % batch_size
    small, full = order[:remainder], order[remainder:]
    full.sort(key=lambda index: bucket_width(max(len(rows[index].tokens) - 1, 1)))  # stable: random within a width
    batches = [full[start : start + batch_size] for start in range(0, len(full), batch_size)]
    if small:
        batches.append(small)
    return [batches[index] for index in rng.permutation(len(batches))]


def stream(rows: Sequence[Row], batch_size: int, *, seed: int, start: int = 0) -> Iterator[Batch]:
    """Batches without end, epoch after epoch, from the `start`-th on (the state that a resumed run needs)."""
    per_epoch = -(-len(rows) // batch_size)
    epoch, skip = divmod(start, per_epoch)
    while True:
        for indices in epoch_batches(rows, batch_size, seed=seed, epoch=epoch)[skip:]:
            yield to_batch([rows[index] for index in indices])
        epoch, skip = epoch + 1, 0


def fixed_batches(rows: Sequence[Row], batch_size: int) -> list[Batch]:
    """Every row once, by length, always the same: for evaluation."""
    ordered = sorted(rows, key=lambda row: len(row.tokens))
    return [to_batch(ordered[start : start + batch_size]) for start in range(0, len(ordered), batch_size)]
