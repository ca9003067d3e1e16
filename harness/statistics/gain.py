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


@dataclass(frozen=True, kw_only=True)
class Gain:
    """`mean`: how much smaller the loss has become, and its standard `error`, both for a target; `before`: the loss of
    what was there; `degrees`: of freedom with which the error is known; `rows`: how many were compared."""

    mean: float
    error: float
    degrees: float
    before: float
    rows: int

    def lower(self, sigma: float) -> float:
        """Where the interval begins: below the mean by so many standard errors.

        As many as have, with an error that is known from few rows only, the chance that `sigma` have of a normal
        distribution (Student's t): 2 leave 2.3 in 100.
        """
        from scipy.special import stdtrit  # 0.15 s, and only who compares needs it

        reach = stdtrit(self.degrees, 0.5 * math.erfc(-sigma / math.sqrt(2)))
        return self.mean - float(reach) * self.error


def paired_gain(before: Array, after: Array, targets: Array) -> Gain:
    """Of two that were scored on the same rows, none of which chose either.

    Args:
        before, after: sums of the losses by row, [row].
        targets: what each row's mean is taken over, [row].
    """
    means, squares = _means(before - after, targets)
    return _gain(before, targets, float(means), float(squares))


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
    means, squares = _means(before - after, targets)
    return _gain(before, targets, float(means.mean()), float(squares.mean()))


def _means(differences: Array, targets: Array) -> tuple[Array, Array]:
    """For a target, and their errors' squares (a ratio of two sums over the same rows), over the last axis."""
    total, rows = targets.sum(), len(targets)
    means = differences.sum(axis=-1) / total
    left = differences - means[..., None] * targets
    squares: Array = rows / (rows - 1) * (left**2).sum(axis=-1) / total**2
    return means, squares


def _gain(before: Array, targets: Array, mean: float, square: float) -> Gain:
    """A few rows with most of the targets count as few."""
    total = float(targets.sum())
    return Gain(
        mean=mean,
        error=math.sqrt(square),
        degrees=max(total**2 / float((targets**2).sum()) - 1, 1e-3),
        before=float(before.sum()) / total,
        rows=len(targets),
    )
