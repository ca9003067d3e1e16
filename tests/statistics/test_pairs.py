"""Of several equals no pair seems to differ more often than it may."""

import numpy as np
import pytest
from scipy.stats import studentized_range
from scipy.stats import t as student

from harness.statistics.pairs import pair_errors, reach_of_pairs


@pytest.mark.parametrize(("count", "degrees"), [(2, 5), (3, 29), (20, 29)])
def test_of_estimates_that_are_alike_it_is_tukeys_range(count: int, degrees: int) -> None:
    known = studentized_range.ppf(0.95, count, degrees) / np.sqrt(2)
    assert reach_of_pairs(np.eye(count), degrees, seed=0) == pytest.approx(known, rel=0.03)


def test_of_two_it_is_students_whatever_they_share() -> None:
    covariance = np.array([[4.0, 1.9], [1.9, 1.0]])
    assert reach_of_pairs(covariance, 9, seed=1) == pytest.approx(student.ppf(0.975, 9), rel=0.05)
    assert pair_errors(covariance)[0, 1] == pytest.approx(np.sqrt(1.2))


def test_the_same_estimate_twice_never_differs_and_one_alone_from_none() -> None:
    same = np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    assert 1.9 < reach_of_pairs(same, 1000, seed=0) < 2.1  # there is but one difference
    assert reach_of_pairs(np.eye(1), 5, seed=0) == 0 == reach_of_pairs(np.zeros((3, 3)), 5, seed=0)


def test_more_looks_ask_for_more_of_each() -> None:
    assert reach_of_pairs(np.eye(2), 1000, seed=0, looks=5) == pytest.approx(student.ppf(0.995, 1000), rel=0.03)
