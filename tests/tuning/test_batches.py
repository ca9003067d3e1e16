"""Every row once an epoch, in few widths, in an order that the seed determines."""

from collections import Counter
from itertools import islice

import numpy as np
import pytest

from harness.data.dataset import Row
from harness.tuning.batches import bucket_width, epoch_batches, fixed_batches, own_rows, stream, to_batch


def _rows(count: int, seed: int = 0) -> list[Row]:
    lengths = np.random.default_rng(seed).lognormal(4, 0.6, count).astype(int) + 4
    return [
        Row(np.arange(1, length + 1, dtype=np.int32), np.arange(length) >= 3, line)
        for line, length in enumerate(lengths, start=1)
    ]


@pytest.mark.parametrize("count", [8, 9, 11, 43])
def test_every_row_is_seen_once_an_epoch(count: int) -> None:
    batches = epoch_batches(_rows(count), 4, seed=0, epoch=0)
    assert sorted(index for batch in batches for index in batch) == list(range(count))
    assert Counter(map(len, batches))[4] == count // 4


def test_the_small_batch_holds_other_rows_in_another_epoch() -> None:
    rows = _rows(43)
    small = [next(b for b in epoch_batches(rows, 4, seed=0, epoch=epoch) if len(b) == 3) for epoch in range(3)]
    assert len({tuple(sorted(batch)) for batch in small}) == 3


def test_the_order_depends_on_seed_and_epoch() -> None:
    rows = _rows(40)
    orders = [epoch_batches(rows, 4, seed=s, epoch=e) for s, e in ((0, 0), (0, 0), (0, 1), (1, 0))]
    assert orders[0] == orders[1]
    assert orders[0] != orders[2] and orders[0] != orders[3]


def test_the_order_draws_from_no_global_generator() -> None:
    rows = _rows(40)
    np.random.seed(1)
    first = epoch_batches(rows, 4, seed=0, epoch=0)
    np.random.seed(2)
    assert epoch_batches(rows, 4, seed=0, epoch=0) == first


def test_a_stream_can_begin_anywhere() -> None:
    rows = _rows(10)
    whole = [batch.lines for batch in islice(stream(rows, 4, seed=3), 9)]
    for start in (1, 3, 5):
        assert [batch.lines for batch in islice(stream(rows, 4, seed=3, start=start), 9 - start)] == whole[start:]


def test_about_a_tenth_is_padding_where_rows_are_many() -> None:
    rows = _rows(1000)
    batches = [to_batch([rows[i] for i in indices]) for indices in epoch_batches(rows, 4, seed=0, epoch=0)]
    computed = sum(batch.computed for batch in batches)
    needed = sum(len(row.tokens) - 1 for row in rows)
    assert 1 - needed / computed < 0.15


def test_widths_are_few_and_wide_enough() -> None:
    widths = {bucket_width(length) for length in range(1, 2049)}
    assert len(widths) < 40
    assert all(length <= bucket_width(length) <= max(length * 1.26, length + 15) for length in range(1, 2049))


def test_padding_and_prompt_are_no_targets() -> None:
    row = Row(np.array([7, 8, 9, 10], np.int32), np.array([False, False, True, True]), 1)
    batch = to_batch([row])
    assert batch.tokens.shape == (1, 17)
    assert batch.tokens[0, :5].tolist() == [7, 8, 9, 10, 0]
    assert batch.learn[0].tolist() == [False, True, True] + [False] * 13


def test_evaluation_batches_hold_every_row() -> None:
    rows = _rows(11)
    assert sorted(line for batch in fixed_batches(rows, 4) for line in batch.lines) == list(range(1, 12))


@pytest.mark.parametrize(("sizes", "shares"), [([3, 3], [3, 3]), ([1, 1, 1, 1], [2, 2]), ([1], [1, 0])])
def test_an_updates_rows_are_dealt_evenly_over_its_batches(sizes: list[int], shares: list[int]) -> None:
    rows = iter(_rows(sum(sizes)))
    batches = [list(islice(rows, size)) for size in sizes]
    parts = [own_rows(batches, rank=rank, size=2) for rank in range(2)]
    assert [sum(map(len, part)) for part in parts] == shares
    assert all(all(part) for part in parts), "no batch without rows"
    dealt = sorted(row.line for part in parts for batch in part for row in batch)
    assert dealt == sorted(row.line for batch in batches for row in batch)
