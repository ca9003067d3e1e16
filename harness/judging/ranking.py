"""From rankings of blocks to ratings with intervals, and to which of them can be told apart.

Each judge's verdicts are fitted by themselves (plackett_luce.py), and the judges pooled (pooling.py). Who is told apart
is told for all pairs at once (harness/statistics/pairs.py).
"""

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from harness.judging.left_out import LeftOut, leave_out
from harness.judging.places import place_shares
from harness.judging.plackett_luce import Ranked, Rankings
from harness.judging.pooling import Opinion, pool
from harness.judging.spread import Spread, pulls_of, spread_of
from harness.statistics.pairs import LEVEL, pair_errors, reach_of_pairs

Array = NDArray[np.float64]

# at 0.95, 5.8 % of 1,200 simulated worlds of two equals on 100 themes were split: the errors are estimates too
_APART = 0.96


@dataclass(frozen=True)
class Rating:
    """In logits about the mean of all, with a 95 % interval of its own. `tie`: those of a number cannot be told apart.

    `blocks`: verdicts that it stood in. `places`: the share of resamples in which it came first, second, …
    """

    adapter: str
    value: float
    stderr: float
    low: float
    high: float
    tie: int
    blocks: int
    places: list[float]

    @property
    def first(self) -> float:
        """The share of resamples in which it came first."""
        return self.places[0]


@dataclass(frozen=True)
class Effect:
    """What something is worth to the judge, in logits."""

    value: float
    stderr: float


@dataclass(frozen=True, kw_only=True)
class Panelist:
    """What one judge of the panel is worth and likes. `weight`: its share in the ratings; all add up to 1.

    `first_place`: standing first rather than elsewhere; `length`: e times as long. `verdicts`: that could be read.
    """

    judge: str
    family: str
    weight: float
    verdicts: int
    first_place: Effect
    length: Effect


@dataclass(frozen=True)
class Standings:
    """`ratings`: the best first. `undecided`: neighbours whose difference may be none.

    `first_place`, `length`: what they are worth to the judge, of a panel to the mean of its judges by their weights.
    `taste`: how far the judges differ beyond chance, a standard deviation in logits. `left_out`: without whom what.
    """

    ratings: list[Rating]
    undecided: list[tuple[str, str]]
    first_place: Effect
    length: Effect
    panel: list[Panelist]
    taste: float
    left_out: list[LeftOut]

    @property
    def open(self) -> set[str]:
        """Adapters that some neighbour cannot be told from."""
        return {adapter for pair in self.undecided for adapter in pair}


@dataclass(frozen=True)
class _Judged:
    """One judge's verdicts, fitted."""

    opinion: Opinion
    first_place: Effect
    length: Effect
    verdicts: int


def rank(
    verdicts: Sequence[Ranked],
    adapters: Sequence[str],
    *,
    seed: int,
    looks: int = 1,
    families: Mapping[str, str] | None = None,
) -> Standings:
    """Fit all verdicts; what a theme's verdicts share counts once. `seed`: of the draws behind groups and places.

    `looks`: how often it will be asked in all, each time of more verdicts, whether the order is decided.
    `families`: by judge, where several are kin. With fewer than two themes each verdict counts by itself.
    """
    families = families or {}
    judged = _by_judge(verdicts, adapters)
    opinions = {judge: each.opinion for judge, each in judged.items()}
    pooled = pool(list(opinions.values()))
    spread, count = pooled.spread, len(adapters)
    reach = reach_of_pairs(spread.found, spread.degrees, seed=seed, looks=looks, level=_APART)
    shares = place_shares(pooled.value, spread.of_ratings(count), spread.degrees, seed=seed)
    panel = [
        Panelist(
            judge=judge,
            family=families.get(judge, judge),
            weight=float(weight),
            verdicts=each.verdicts,
            first_place=each.first_place,
            length=each.length,
        )
        for (judge, each), weight in zip(judged.items(), pooled.weights, strict=True)
    ]
    return Standings(
        *_ratings(adapters, pooled.value, spread, verdicts, reach, shares),
        first_place=_mean_effect([(each.weight, each.first_place) for each in panel]),
        length=_mean_effect([(each.weight, each.length) for each in panel]),
        panel=panel,
        taste=pooled.taste,
        left_out=leave_out(opinions, families, adapters),
    )


def _by_judge(verdicts: Sequence[Ranked], adapters: Sequence[str]) -> dict[str, _Judged]:
    """In the order of their first verdicts; all count the same themes."""
    of_judge: dict[str, list[Ranked]] = {}
    for verdict in verdicts:
        of_judge.setdefault(verdict.judge, []).append(verdict)
    names = {theme: number for number, theme in enumerate(sorted({verdict.theme for verdict in verdicts}))}
    found = {}
    for judge, own in of_judge.items():
        of = [names[verdict.theme] for verdict in own] if len(names) > 1 else list(range(len(own)))
        themes = len(names) if len(names) > 1 else max(map(len, of_judge.values()))
        found[judge] = _fitted(own, adapters, np.array(of, np.int64), themes)
    return found


def _fitted(verdicts: Sequence[Ranked], adapters: Sequence[str], theme: NDArray[np.int64], themes: int) -> _Judged:
    rankings, count = Rankings(verdicts, adapters), len(adapters)
    fit = rankings.fit()
    pulls = pulls_of(fit, theme, themes)
    spread, one, length = spread_of(pulls, count), np.eye(rankings.size), rankings.length
    # standing first rather than at the mean of the other places
    first = one[count] - one[count + 1 : length].mean(axis=0) if rankings.width > 1 else np.zeros(rankings.size)
    return _Judged(
        opinion=Opinion(fit.value[:count], pulls.of_ratings(count)),
        first_place=Effect(float(fit.value @ first), spread.error(first)),
        length=Effect(float(fit.value[length]), spread.error(one[length])),
        verdicts=len(verdicts),
    )


def _mean_effect(effects: Sequence[tuple[float, Effect]]) -> Effect:
    """By their weights."""
    error = float(np.sqrt(sum((weight * each.stderr) ** 2 for weight, each in effects)))
    return Effect(sum(weight * each.value for weight, each in effects), error)


def _ratings(
    names: Sequence[str], value: Array, spread: Spread, verdicts: Sequence[Ranked], reach: float, shares: Array
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
        ratings.append(
            Rating(name, at, off, at - wide * off, at + wide * off, tie, blocks[name], shares[number].tolist())
        )
    undecided = [(names[this], names[that]) for this, that in itertools.pairwise(order) if not apart(this, that)]
    return ratings, undecided
