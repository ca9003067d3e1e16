"""Rows into padded batches: every row once an epoch, few widths, an order that a seed and a position determine.

Knows nothing of models.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import mlx.core as mx
import numpy as np
from numpy.typing import NDArray

from harness.data.dataset import Row

_PAD = 0  # never a target, and nothing real attends to it: padding is on the right, attention is causal


@dataclass(frozen=True)
class Batch:
    """`tokens`: int32 [rows, width + 1]; `learn`: bool [rows, width], True where tokens[:, 1:] is a target.

    `chosen`: int32, the targets' indices in rows * width, padded with 0 to one of few lengths; None for a head
    that sees all positions. `places`: int32 [rows * width], where each position is in `chosen`, its length for one
    that is not there. `hidden`: [rows, width, hidden size], what enters the first adapted block; None to compute it.
    `lengths`: int32 [rows], the positions that are no padding, for what asks; `weights`: float32 [rows], what each
    row's tokens count, None: the same. `lines` are the numbers of the rows' lines in their file.
    """

    tokens: mx.array
    learn: mx.array
    lines: list[int]
    chosen: mx.array | None = None
    places: mx.array | None = None
    hidden: mx.array | None = None
    lengths: mx.array | None = None
    weights: mx.array | None = None

    @property
    def computed(self) -> int:
        """Positions that the model computes, padding included."""
        return self.learn.size

    @property
    def inputs(self) -> "Inputs":
        """What a compiled step takes."""
        return *self.scored, self.lengths, self.weights

    @property
    def scored(self) -> "ScoreInputs":
        """What a validation takes: no noise, and every row's tokens count the same."""
        return self.tokens, self.learn, self.chosen, self.places, self.hidden


# tokens, learn, chosen, places, hidden: see Batch
ScoreInputs = tuple[mx.array, mx.array, mx.array | None, mx.array | None, mx.array | None]
# and lengths, weights
Inputs = tuple[mx.array, mx.array, mx.array | None, mx.array | None, mx.array | None, mx.array | None, mx.array | None]


class Hidden(Protocol):
    """What the frozen blocks make of rows (hidden.HiddenRows)."""

    def batch(self, rows: Sequence[Row], width: int) -> mx.array: ...


@dataclass(frozen=True)
class Batcher:
    """Makes batches of rows. `on_targets`: for a head that sees targets only; `hidden`: for a model that is cut.

    `lengths`, `weighted`: with the rows' lengths and weights.
    """

    on_targets: bool = False
    hidden: Hidden | None = None
    lengths: bool = False
    weighted: bool = False

    def __call__(self, rows: Sequence[Row]) -> Batch:
        tokens = padded_tokens(rows)
        learn = np.zeros((len(rows), tokens.shape[1] - 1), np.bool_)
        for index, row in enumerate(rows):
            learn[index, : len(row.learn) - 1] = row.learn[1:]
        chosen = places = None
        if self.on_targets:
            chosen, places = _choose(learn)
        return Batch(
            mx.array(tokens),
            mx.array(learn),
            [row.line for row in rows],
            chosen,
            places,
            None if self.hidden is None else self.hidden.batch(rows, learn.shape[1]),
            mx.array([len(row.tokens) - 1 for row in rows]) if self.lengths else None,
            mx.array([row.weight for row in rows], mx.float32) if self.weighted else None,
        )


def _choose(learn: NDArray[np.bool_]) -> tuple[mx.array, mx.array]:
    found = np.flatnonzero(learn)
    chosen = np.zeros(bucket_width(len(found)), np.int32)
    chosen[: len(found)] = found
    places = np.full(learn.size, len(chosen), np.int32)
    places[found] = np.arange(len(found))
    return mx.array(chosen), mx.array(places)


def bucket_width(length: int) -> int:
    """The padded width for `length` inputs: four widths an octave, at least 16 apart.

    Few enough that compiled steps are reused, close enough that about a tenth is padding.
    """
    octave = 1 << max(length - 1, 1).bit_length()
    step = max(16, octave // 8)
    return -(-length // step) * step


to_batch = Batcher()


def padded_tokens(rows: Sequence[Row]) -> NDArray[np.int32]:
    """[rows, width + 1]."""
    width = bucket_width(max(len(row.tokens) - 1 for row in rows))
    tokens = np.full((len(rows), width + 1), _PAD, np.int32)
    for index, row in enumerate(rows):
        tokens[index, : len(row.tokens)] = row.tokens
    return tokens


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


def stream(
    rows: Sequence[Row],
    batch_size: int,
    *,
    seed: int,
    start: int = 0,
    make: Callable[[Sequence[Row]], Batch] = to_batch,
) -> Iterator[Batch]:
    """Batches without end, epoch after epoch, from the `start`-th on (the state that a resumed run needs)."""
    return map(make, stream_rows(rows, batch_size, seed=seed, start=start))


def stream_rows(rows: Sequence[Row], batch_size: int, *, seed: int, start: int = 0) -> Iterator[list[Row]]:
    """The rows of these batches."""
    per_epoch = -(-len(rows) // batch_size)
    epoch, skip = divmod(start, per_epoch)
    while True:
        for indices in epoch_batches(rows, batch_size, seed=seed, epoch=epoch)[skip:]:
            yield [rows[index] for index in indices]
        epoch, skip = epoch + 1, 0


def own_rows(batches: Sequence[Sequence[Row]], *, rank: int, size: int) -> list[list[Row]]:
    """Of an update's micro-batches, what process `rank` of `size` computes: rows dealt one by one, none left empty."""
    parts, dealt = [], 0
    for rows in batches:
        parts.append([row for place, row in enumerate(rows, start=dealt) if place % size == rank])
        dealt += len(rows)
    return [part for part in parts if part]


def fixed_rows(rows: Sequence[Row], batch_size: int) -> list[list[Row]]:
    """Every row once, by length, always the same."""
    ordered = sorted(rows, key=lambda row: len(row.tokens))
    return [ordered[start : start + batch_size] for start in range(0, len(ordered), batch_size)]


def fixed_batches(
    rows: Sequence[Row], batch_size: int, make: Callable[[Sequence[Row]], Batch] = to_batch
) -> list[Batch]:
    """For evaluation."""
    return [make(group) for group in fixed_rows(rows, batch_size)]
