"""The best of many that were scored on the same rows: what is left of its loss after the choice, and who else may be
the best.

Of many scores the lowest is low by luck too. Losses are sums by row, so that a mean weighs each row by its targets.
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Marks = NDArray[np.bool_]

LEVEL = 0.95
_SPLITS = 200
_FLIPS = 1000
_LOOK = 200  # what is clear by then needs no more of them
_CLEAR = (1, 25)  # as many of the first or fewer, or more: beaten, or not, beyond doubt
_LEAST_ROWS = 4  # with fewer, a half says nothing


def left_out_loss(sums: Array, targets: Array, *, seed: int = 0) -> float | None:
    """The mean loss on the half of the rows that did not choose, of what the other half chose: over seeded halves.

    Args:
        sums: of each candidate's losses by row, [candidate, row], nats.
        targets: learned tokens by row, [row].

    Returns:
        Nats a token; None where there are too few rows to halve.
    """
    rows = len(targets)
    if rows < _LEAST_ROWS:
        return None
    rng = np.random.default_rng(seed)
    chooses = np.zeros((_SPLITS, rows))
    for split in chooses:
        split[rng.permutation(rows)[: rows // 2]] = 1.0
    # each half chooses once and scores once
    chooses = np.concatenate([chooses, 1 - chooses])
    chosen = _means(chooses, sums, targets).argmin(axis=1)
    scored = _means(1 - chooses, sums, targets)
    return float(scored[np.arange(len(chosen)), chosen].mean())


def _means(weights: Array, sums: Array, targets: Array) -> Array:
    """Of each candidate under each weighting of the rows, [weighting, candidate]."""
    found: Array = (weights @ sums.T) / (weights @ targets)[:, None]
    return found


def may_be_best(sums: Array, groups: NDArray[np.int64], *, seed: int = 0) -> Marks:
    """Which groups (the trials) may hold the best candidate (their checkpoints), on other rows of the same kind.

    Hsu's multiple comparison with the best (1984): a group is ruled out when what is lowest of it is beaten by more
    than the largest of all its comparisons would show by chance, in 5 of 100 cases. Chance is told by exchanging the
    two candidates of every comparison on random rows, the same for all: paired, and true of few and uneven rows.
    A group's own lowest stands against every candidate of the others, so that many chances to be lucky count as many.

    Args:
        sums: of the losses by row, [candidate, row], of the same rows with the same targets.
        groups: the number of each candidate's group, from 0, [candidate].

    Returns:
        By group, [groups].
    """
    totals = sums.sum(axis=1)
    rng = np.random.default_rng(seed)
    flips = rng.choice([-1.0, 1.0], (_FLIPS, sums.shape[1]))
    flipped = flips @ sums.T
    found = np.ones(int(groups.max(initial=-1)) + 1, np.bool_)
    for group in range(len(found)):
        own = np.flatnonzero(groups == group)
        others = np.flatnonzero(groups != group)
        if own.size and others.size:
            one = own[totals[own].argmin()]
            found[group] = _not_beaten(sums[one] - sums[others], flipped[:, one, None] - flipped[:, others])
    return found


def _not_beaten(differences: Array, flipped: Array) -> bool:
    """Whether none of these losses over others, [other, row], is more than chance, [flip, other], makes the largest."""
    squares = (differences**2).sum(axis=1)
    rows = differences.shape[1]
    largest = float(_studentized(differences.sum(axis=1), squares, rows).max())

    def reached(flips: Array) -> int:
        return int((_studentized(flips, squares, rows).max(axis=1) >= largest).sum())

    first = reached(flipped[:_LOOK])
    if not _CLEAR[0] < first < _CLEAR[1]:
        return first >= _CLEAR[1]
    return (first + reached(flipped[_LOOK:]) + 1) / (len(flipped) + 1) > 1 - LEVEL


def _studentized(sums: Array, squares: Array, rows: int) -> Array:
    """A sum over rows by its standard error, from the sum of the squares of what was summed."""
    spread = (squares - sums**2 / rows) * rows / max(rows - 1, 1)
    found: Array = sums / np.sqrt(np.maximum(spread, 1e-12 * squares + 1e-300))
    return found


def reach_of_best(deviation: float, degrees: float, among: int, *, seed: int = 0) -> float:
    """By how much the best of so many single scores stays below the truly best one's, in 95 of 100 cases.

    Dunnett's one-sided comparison (1955), for scores that differ by chance alone. `deviation`: of a score, known with
    so many `degrees` of freedom.
    """
    if among < 2:
        return 0.0
    draws = 20_000
    rng = np.random.default_rng(seed)
    lowest = _lowest(rng, draws, among - 1)
    beyond = (rng.standard_normal(draws) - lowest) / np.sqrt(rng.chisquare(degrees, draws) / degrees)
    return deviation * float(np.quantile(beyond, LEVEL))


def _lowest(rng: np.random.Generator, draws: int, of: int) -> Array:
    """The lowest of so many standard normal numbers, [draw]."""
    from scipy.special import ndtri  # 0.15 s, and only sweeps are asked about their best

    found: Array = ndtri(-np.expm1(np.log(rng.random(draws)) / of))
    return found
