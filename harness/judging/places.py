"""How sure a ranking is, the way people ask it: in how many of many resamples each comes first, second, …

A resample is drawn about the ratings with the spread that they have over themes and judges, all of them together.
Knows nothing of verdicts.
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_DRAWS = 10_000  # a share is then known to half a percent


def place_shares(ratings: Array, covariance: Array, degrees: float, *, seed: int) -> Array:
    """The share of resamples in which each came to each place, [adapter, place]; rows and columns add up to 1.

    Args:
        ratings: [adapter], the higher the better.
        covariance: of their errors, [adapter, adapter]; it may be singular, as of ratings about their mean.
        degrees: of freedom with which it is known.
        seed: of the draws.
    """
    count = len(ratings)
    rng = np.random.default_rng(seed)
    values, axes = np.linalg.eigh(covariance)
    errors = rng.standard_normal((_DRAWS, count)) @ (axes * np.sqrt(np.maximum(values, 0.0))).T
    drawn = ratings + errors / np.sqrt(rng.chisquare(degrees, (_DRAWS, 1)) / degrees)
    who = np.argsort(-drawn, axis=1)
    shares: Array = np.stack([(who == adapter).mean(axis=0) for adapter in range(count)])
    return shares
