"""What is left of a best loss is what the chosen is worth, and the best one is among those that may be."""

import numpy as np
import pytest

from harness.statistics.choice import left_out_loss, may_be_best, reach_of_best


def _equals(seed: int, candidates: int, rows: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return 3.0 + rng.standard_t(5, rows) + 0.1 * rng.normal(size=(candidates, rows))


def test_of_equals_the_lowest_is_lucky_and_what_is_left_is_not() -> None:
    lucky, left = [], []
    for seed in range(60):
        sums = _equals(seed, 30, 40)
        lucky.append((sums.mean(axis=1) - sums.mean()).min())
        found = left_out_loss(sums, np.ones(40))
        assert found is not None
        left.append(found - sums.mean())
    assert np.mean(lucky) < -0.02 and abs(np.mean(left)) < 0.004


def test_what_is_truly_lower_keeps_its_loss_weighed_by_targets() -> None:
    targets = np.array([1.0, 3.0, 5.0, 7.0, 2.0, 4.0])
    sums = np.stack([2.0 * targets, 1.5 * targets, 3.0 * targets])
    assert left_out_loss(sums, targets) == pytest.approx(1.5)
    assert left_out_loss(sums[:, :3], targets[:3]) is None  # too few to halve


def test_the_same_rows_leave_the_same_loss() -> None:
    sums = _equals(1, 5, 20)
    assert left_out_loss(sums, np.ones(20)) == left_out_loss(sums, np.ones(20))


def test_among_equals_hardly_ever_is_one_ruled_out() -> None:
    marks = [may_be_best(_equals(seed, 40, 40), np.repeat(np.arange(10), 4)) for seed in range(60)]
    assert np.mean([not found[0] for found in marks]) <= 0.08
    assert np.mean([found.mean() for found in marks]) > 0.9


def test_who_is_worse_on_the_same_rows_is_ruled_out_however_rows_differ() -> None:
    sums = _equals(0, 3, 100)
    sums[1] += 0.2  # a twentieth of what rows differ by
    found = may_be_best(sums, np.arange(3))
    assert found.tolist() == [True, False, True] == may_be_best(sums, np.arange(3)).tolist()


def test_alone_one_is_the_best_and_copies_are_alike() -> None:
    sums = _equals(0, 1, 10)
    assert may_be_best(sums, np.zeros(1, np.int64)).tolist() == [True]
    assert may_be_best(np.concatenate([sums, sums]), np.arange(2)).tolist() == [True, True]


def test_the_best_of_more_single_runs_is_luckier() -> None:
    assert reach_of_best(1.0, 10, 1) == 0
    reaches = [reach_of_best(1.0, 1000, among) for among in (2, 10, 100)]
    assert reaches[0] == pytest.approx(1.645 * 2**0.5, rel=0.03) and reaches[0] < reaches[1] < reaches[2]
