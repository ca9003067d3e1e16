"""By how much one of two is better on the same rows, with what chance alone would show; also of the best of many.

Losses, or whatever else is to be small, are sums by row, so that a mean weighs each row by its targets.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

LEAST_ROWS = 4  # with fewer, nothing can be told
_SPLITS = 200
_LEAST_SKEW = -0.001  # nearer to 0 the formula is a difference of what is nearly equal


@dataclass(frozen=True, kw_only=True)
class Gain:
    """`mean`: how much smaller the loss has become, and its standard `error`, both for a target; `before`: the loss of
    what was there; `degrees`: of freedom with which the error is known; `skew`: of the rows' gains, where a few lose
    much (below 0), else 0; `rows`: how many were compared."""

    mean: float
    error: float
    degrees: float
    skew: float
    before: float
    rows: int

    def lower(self, sigma: float) -> float:
        """Where the interval begins: below the mean by so many standard errors.

        As many as have, with an error that is known from few rows only, the chance that `sigma` have of a normal
        distribution (Student's t): 2 leave 2.3 in 100. Where a few rows lose much, and fewer may be among these than
        there should be, it begins lower (Hall 1992, On the removal of skewness by transformation).
        """
        from scipy.special import stdtrit  # 0.15 s, and only who compares needs it

        reach = -float(stdtrit(self.degrees, 0.5 * math.erfc(sigma / math.sqrt(2))))  # of the small side: that is exact
        if self.skew < _LEAST_SKEW:
            inner = 1 + self.skew * (reach / math.sqrt(self.rows) - self.skew / (6 * self.rows))
            reach = math.sqrt(self.rows) * 3 / self.skew * (math.cbrt(inner) - 1)
        return self.mean - reach * self.error


def paired_gain(before: Array, after: Array, targets: Array) -> Gain:
    """Of two that were scored on the same rows, none of which chose either.

    Args:
        before, after: sums of the losses by row, [row].
        targets: what each row's mean is taken over, [row].
    """
    return _gain(before, targets, *_moments(before - after, targets))


def gain_of_chosen(before: Array, candidates: Array, targets: Array, *, seed: int = 0) -> Gain:
    """Of the best of many over another: on the half of the rows that did not choose, of what the other half chose.

    Over seeded halves, each of which chooses once and scores once, so that the winner's luck does not count. The error
    is that of one such pair of halves: the mean of many is no better known, for they share their rows.

    Args:
        before: sums of the losses by row of what was there, [row].
        candidates: the same of each candidate, [candidate, row].
        targets: what each row's mean is taken over, [row].
    """
    rows = len(targets)
    rng = np.random.default_rng(seed)
    chooses = np.zeros((_SPLITS, rows))
    for split in chooses:
        split[rng.permutation(rows)[: rows // 2]] = 1.0
    sums = candidates.T
    by_first = ((chooses @ sums) / (chooses @ targets)[:, None]).argmin(axis=1)
    by_second = (((1 - chooses) @ sums) / ((1 - chooses) @ targets)[:, None]).argmin(axis=1)
    after = np.where(chooses > 0, candidates[by_second], candidates[by_first])
    return _gain(before, targets, *_moments(before - after, targets))


def _moments(differences: Array, targets: Array) -> tuple[Array, Array, Array]:
    """Means for a target (a ratio of sums over the same rows), their errors' squares, and skews; of the last axis."""
    total, rows = targets.sum(), len(targets)
    means: Array = np.asarray(differences.sum(axis=-1) / total)
    left = differences - means[..., None] * targets
    spread = (left**2).mean(axis=-1)
    squares: Array = rows / (rows - 1) * spread * rows / total**2
    skews: Array = (left**3).mean(axis=-1) / np.maximum(spread, 1e-100) ** 1.5
    return means, squares, skews


def _gain(before: Array, targets: Array, means: Array, squares: Array, skews: Array) -> Gain:
    """A few rows with most of the targets count as few."""
    total = float(targets.sum())
    return Gain(
        mean=float(means.mean()),
        error=math.sqrt(float(squares.mean())),
        skew=min(float(skews.mean()), 0.0),
        degrees=max(total**2 / float((targets**2).sum()) - 1, 1e-3),
        before=float(before.sum()) / total,
        rows=len(targets),
    )
