"""From rankings of blocks to ratings with intervals, and to which of them can be told apart.

Errors come from how themes differ in what they pull at the fit (Liang and Zeger 1986: no sample is fitted again). With
few themes that is poorly known for a single adapter, so it is drawn towards the spread that the rankings alone imply,
times what all adapters together show beyond it; and it is never smaller than the curvature of the fit allows: who has
won every time pulls nowhere. Who is told apart is told for all pairs at once (harness/statistics/pairs.py).
"""

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from harness.judging.plackett_luce import Fit, Ranked, Rankings
from harness.statistics.pairs import LEVEL, pair_errors, reach_of_pairs

Array = NDArray[np.float64]

# at 0.95, 5.8 % of 1,200 simulated worlds of two equals on 100 themes were split: the errors are estimates too
_APART = 0.96
_SHARED_THEMES = 10  # so many themes' weight has the spread that all adapters share, beside each one's own


@dataclass(frozen=True)
class Rating:
    """In logits about the mean of all, with a 95 % interval of its own. `tie`: those of a number cannot be told apart.

    `blocks`: verdicts that it stood in.
    """

    adapter: str
    value: float
    stderr: float
    low: float
    high: float
    tie: int
    blocks: int


@dataclass(frozen=True)
class Effect:
    """What something is worth to the judge, in logits."""

    value: float
    stderr: float


@dataclass(frozen=True)
class Standings:
    """`ratings`: the best first. `first_place`: standing first rather than elsewhere; `length`: e times as long.

    `undecided`: neighbours whose difference may be none.
    """

    ratings: list[Rating]
    undecided: list[tuple[str, str]]
    first_place: Effect
    length: Effect

    @property
    def open(self) -> set[str]:
        """Adapters that some neighbour cannot be told from."""
        return {adapter for pair in self.undecided for adapter in pair}


@dataclass(frozen=True)
class _Spread:
    """Covariance of the parameters, [size, size], and the least that it may be; `degrees`: of freedom behind it."""

    found: Array
    least: Array
    degrees: float

    def error(self, of: Array) -> float:
        """Standard error of a sum of parameters with these weights."""
        return float(np.sqrt(max(of @ self.found @ of, of @ self.least @ of)))


def rank(verdicts: Sequence[Ranked], adapters: Sequence[str], *, seed: int, looks: int = 1) -> Standings:
    """Fit all verdicts; what a theme's verdicts share counts once. `seed`: of the draws behind the groups.

    `looks`: how often it will be asked in all, each time of more verdicts, whether the order is decided.
    With fewer than two themes each verdict counts by itself.
    """
    rankings = Rankings(verdicts, adapters)
    fit = rankings.fit()
    names = {theme: number for number, theme in enumerate(sorted({verdict.theme for verdict in verdicts}))}
    of = [names[verdict.theme] for verdict in verdicts] if len(names) > 1 else list(range(len(verdicts)))
    spread = _spread(fit, np.array(of, np.int64), len(adapters))
    one, count = np.eye(rankings.size), len(adapters)
    reach = reach_of_pairs(spread.found[:count, :count], spread.degrees, seed=seed, looks=looks, level=_APART)
    # standing first rather than at the mean of the other places
    first = one[count] - one[count + 1 : -1].mean(axis=0) if rankings.width > 1 else np.zeros(rankings.size)
    first_place = Effect(float(fit.value @ first), spread.error(first))
    length = Effect(float(fit.value[-1]), spread.error(one[-1]))
    return Standings(*_ratings(adapters, fit.value, spread, verdicts, reach), first_place, length)


def _spread(fit: Fit, theme: NDArray[np.int64], adapters: int) -> _Spread:
    """`theme`: the number of each verdict's, [verdict]."""
    themes = max(int(theme.max(initial=0)) + 1, 2)
    pulls = np.zeros((themes, fit.slopes.shape[1]))
    np.add.at(pulls, theme, fit.slopes)
    moves = (pulls - pulls.mean(axis=0)) @ fit.solve.T
    seen = moves.T @ moves * themes / (themes - 1)
    implied = fit.solve @ fit.information @ fit.solve.T
    prior = fit.solve @ np.diag(fit.prior) @ fit.solve.T  # of what the prior keeps from the parameters
    of_ratings = [float(np.trace(matrix[:adapters, :adapters])) for matrix in (seen, implied)]
    beyond = max(1.0, of_ratings[0] / max(of_ratings[1], 1e-300))
    share = _SHARED_THEMES / (_SHARED_THEMES + themes - 1)
    found = share * beyond * implied + (1 - share) * seen + prior
    return _Spread(found, implied + prior, themes - 1 + _SHARED_THEMES)


def _ratings(
    names: Sequence[str], value: Array, spread: _Spread, verdicts: Sequence[Ranked], reach: float
) -> tuple[list[Rating], list[tuple[str, str]]]:
    """The best first, and the neighbours that cannot be told apart: by less than `reach` standard errors."""
    count = len(names)
    among, least = spread.found[:count, :count], spread.least[:count, :count]
    errors = np.maximum(pair_errors(among), pair_errors(least))

    def apart(this: int, that: int) -> bool:
        return bool(abs(value[this] - value[that]) > reach * errors[this, that])

    order = [int(number) for number in np.argsort(-value[:count], kind="stable")]
    blocks = Counter(adapter for verdict in verdicts for adapter in set(verdict.adapters))
    wide = float(student.ppf((1 + LEVEL) / 2, spread.degrees))
    ratings, tie, leader = [], 1, order[0] if order else 0
    for number in order:
        if apart(leader, number):
            tie, leader = tie + 1, number
        name, at, off = names[number], float(value[number]), spread.error(np.eye(len(value))[number])
        ratings.append(Rating(name, at, off, at - wide * off, at + wide * off, tie, blocks[name]))
    undecided = [(names[this], names[that]) for this, that in itertools.pairwise(order) if not apart(this, that)]
    return ratings, undecided
