"""Several estimates at once: by how much two of them must differ before one may say so of any pair.

Tukey's range, for estimates that hang together and are not equally well known: with one test for each pair, some pair
of many equals always seems to differ.
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

LEVEL = 0.95
_DRAWS = 10_000  # the quantile is then known to about 0.01 of itself


def pair_errors(covariance: Array) -> Array:
    """Standard error of each difference, [count, count], of estimates with this covariance [count, count]."""
    own = np.diag(covariance)
    squares: Array = own[:, None] + own[None, :] - 2 * covariance
    return np.sqrt(np.maximum(squares, 0.0))


def reach_of_pairs(covariance: Array, degrees: float, *, seed: int, looks: int = 1, level: float = LEVEL) -> float:
    """How many standard errors the difference of *any* pair of equals stays below, in `level` of cases.

    So at each of all `looks`, when more is collected in between and the first that says so decides (Bonferroni).

    Args:
        covariance: of the estimates, [count, count]; it may be singular, as of ratings about their mean.
        degrees: of freedom with which it is known.
        seed: of the draws.
    """
    count, errors = len(covariance), pair_errors(covariance)
    if count < 2 or not errors.any():
        return 0.0
    errors[errors < 1e-9 * errors.max()] = np.inf  # the same estimate twice never differs
    rng = np.random.default_rng(seed)
    values, axes = np.linalg.eigh(covariance)
    drawn = rng.standard_normal((_DRAWS, count)) @ (axes * np.sqrt(np.maximum(values, 0.0))).T
    largest = np.zeros(_DRAWS)
    for one in range(count - 1):
        apart = np.abs(drawn[:, one, None] - drawn[:, one + 1 :]) / errors[one, one + 1 :]
        largest = np.maximum(largest, apart.max(axis=1))
    return float(np.quantile(largest / np.sqrt(rng.chisquare(degrees, _DRAWS) / degrees), 1 - (1 - level) / looks))
