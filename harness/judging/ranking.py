"""From rankings of blocks to ratings with intervals: Plackett-Luce with effects of position and length.

A text's strength is its adapter's rating, plus what its place in the block and its length are worth to the judge
(Plackett 1975, Luce 1959; fitted by penalized maximum likelihood). Errors are from a bootstrap over themes, and never
smaller than the curvature of the fit allows: who has won every time wins in every sample.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.stats import t as student

Array = NDArray[np.float64]

_PRIOR = 0.25  # precision of a rating about 0, a deviation of 2 logits: keeps an adapter that always wins finite
_EFFECT_PRIOR = 1.0  # of the effects of place and length, which are small unless the data say otherwise
_LEVEL = 0.95
_BOOTSTRAPS = 200


@dataclass(frozen=True)
class Ranked:
    """One verdict: adapters as shown, their texts' lengths in units, and the places of the best to the worst."""

    theme: str
    adapters: list[str]
    lengths: list[int]
    order: list[int]


@dataclass(frozen=True)
class Rating:
    """In logits about the mean of all, with a 95 % interval. `tie`: those of a number cannot be told apart.

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
    first_place: Effect
    length: Effect
    undecided: list[tuple[str, str]]

    @property
    def open(self) -> set[str]:
        """Adapters that some neighbour cannot be told from."""
        return {adapter for pair in self.undecided for adapter in pair}


def rank(verdicts: Sequence[Ranked], adapters: Sequence[str], *, seed: int, bootstraps: int = _BOOTSTRAPS) -> Standings:
    """Fit all verdicts, then samples of themes drawn with replacement.

    With fewer than two themes, there is nothing to draw: each verdict is drawn by itself.
    """
    data = _Data(verdicts, adapters)
    best = data.fit(np.ones(len(verdicts)))
    themes = sorted({verdict.theme for verdict in verdicts})
    groups = [[place for place, verdict in enumerate(verdicts) if verdict.theme == theme] for theme in themes]
    if len(groups) < 2:
        groups = [[place] for place in range(len(verdicts))]
    rng = np.random.default_rng(seed)
    drawn = []
    for _ in range(bootstraps):
        weights = np.zeros(len(verdicts))
        for chosen in rng.integers(len(groups), size=len(groups)):
            weights[groups[chosen]] += 1
        drawn.append(data.fit(weights, best))
    return _standings(best, np.array(drawn), data, verdicts, len(groups))


class _Data:
    """Rankings as arrays, in the order of the ranking: [verdict, place], padded to the largest block."""

    def __init__(self, verdicts: Sequence[Ranked], adapters: Sequence[str]) -> None:
        self.adapters = list(adapters)
        numbers = {adapter: number for number, adapter in enumerate(adapters)}
        width = max((len(verdict.order) for verdict in verdicts), default=1)
        shape = (len(verdicts), width)
        self.who, self.there = np.zeros(shape, np.int64), np.zeros(shape, bool)
        self.place, length = np.zeros(shape, np.int64), np.zeros(shape)
        for row, verdict in enumerate(verdicts):
            for rank_, at in enumerate(verdict.order):
                self.who[row, rank_] = numbers[verdict.adapters[at]]
                self.place[row, rank_] = at
                length[row, rank_] = np.log(1 + verdict.lengths[at])
                self.there[row, rank_] = True
        centre = length[self.there].mean() if self.there.any() else 0.0
        self.length = np.where(self.there, length - centre, 0.0)
        self.width = width
        self.size = len(self.adapters) + width + 1  # ratings, places, length
        self._precision = np.concatenate([np.full(len(self.adapters), _PRIOR), np.full(width + 1, _EFFECT_PRIOR)])

    def fit(self, weights: Array, start: Array | None = None) -> Array:
        """Ratings, effects of the places, effect of length: float [size], ratings and places each with a mean of 0."""
        begin = np.zeros(self.size) if start is None else start
        found = minimize(self._loss, begin, args=(weights,), jac=True, method="L-BFGS-B")
        value: Array = np.array(found.x)
        count = len(self.adapters)
        value[:count] -= value[:count].mean()
        value[count:-1] -= value[count:-1].mean()
        return value

    def covariance(self, value: Array) -> Array:
        """Of a fit to all verdicts, by the curvature of its likelihood: float [size, size]."""
        weights, step = np.ones(len(self.who)), 1e-4
        slopes = [
            (self._loss(value + move, weights)[1] - self._loss(value - move, weights)[1]) / (2 * step)
            for move in step * np.eye(self.size)
        ]
        centred = np.eye(self.size)  # as ratings and places are
        count = len(self.adapters)
        centred[:count, :count] -= 1 / count
        centred[count:-1, count:-1] -= 1 / self.width
        found: Array = centred @ np.linalg.inv((np.array(slopes) + np.array(slopes).T) / 2) @ centred.T
        return found

    def _loss(self, value: Array, weights: Array) -> tuple[float, Array]:
        """Negative log likelihood with its gradient."""
        count = len(self.adapters)
        strength = value[self.who] + value[count + self.place] + value[-1] * self.length
        strength = np.where(self.there, strength, -np.inf)
        top = strength.max(axis=1, keepdims=True, initial=-1e300)
        powers = np.exp(strength - top)
        rest = np.cumsum(powers[:, ::-1], axis=1)[:, ::-1]  # of all that are still to be placed
        rest = np.where(self.there, rest, 1.0)
        loss = -(weights[:, None] * np.where(self.there, strength - top - np.log(rest), 0.0)).sum()
        # each text loses at every choice that it could have been: its power over what was there
        chances = powers * np.cumsum(np.where(self.there, 1 / rest, 0.0), axis=1)
        slope = weights[:, None] * np.where(self.there, chances - 1.0, 0.0)
        gradient = np.zeros(self.size)
        np.add.at(gradient, self.who.ravel(), slope.ravel())
        np.add.at(gradient, count + self.place.ravel(), slope.ravel())
        gradient[-1] = (slope * self.length).sum()
        loss += 0.5 * float((self._precision * value**2).sum())
        return float(loss), gradient + self._precision * value


def _standings(best: Array, drawn: Array, data: _Data, verdicts: Sequence[Ranked], drawn_from: int) -> Standings:
    """`drawn`: fits of samples, [sample, size], of so many themes each."""
    count = len(data.adapters)
    few = max(drawn_from, 2)  # a sample of few themes spreads too little, and its quantiles are Student's
    curvature = data.covariance(best)
    reach = float(student.ppf((1 + _LEVEL) / 2, few - 1))

    def error(of: Array) -> float:
        """Standard error of a sum of parameters with these weights."""
        spread = float((drawn @ of).std(ddof=1)) * np.sqrt(few / (few - 1))
        return float(max(spread, np.sqrt(of @ curvature @ of)))

    one = np.eye(data.size)

    def apart(this: int, that: int) -> bool:
        return bool(abs(best[this] - best[that]) > reach * error(one[this] - one[that]))

    order = [int(number) for number in np.argsort(-best[:count], kind="stable")]
    ratings, tie, leader = [], 0, order[0] if order else 0
    for number in order:
        if number != leader and apart(leader, number):
            tie, leader = tie + 1, number
        value, off = float(best[number]), error(one[number])
        adapter = data.adapters[number]
        blocks = sum(adapter in verdict.adapters for verdict in verdicts)
        ratings.append(Rating(adapter, value, off, value - reach * off, value + reach * off, tie + 1, blocks))
    undecided = [
        (data.adapters[this], data.adapters[that]) for this, that in itertools.pairwise(order) if not apart(this, that)
    ]
    # standing first rather than at the mean of the other places
    first = one[count] - one[count + 1 : -1].mean(axis=0) if data.width > 1 else np.zeros(data.size)
    return Standings(
        ratings,
        Effect(float(best @ first), error(first)),
        Effect(float(best[-1]), error(one[-1])),
        undecided,
    )
