"""How far judges agree with one another, and with people."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import krippendorff
import numpy as np
from numpy.typing import NDArray

from harness.judging.verdicts import Verdict

Array = NDArray[np.float64]

LOW_ALPHA = 0.667  # below it Krippendorff (2004) would draw no conclusion
LOW_SHARE = 0.65
_LEAST_PAIRS = 10

# what a person made of a text, the better the higher; a skip says nothing
WORTH = {"accept": 2, "edit": 1, "delete": 0}


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """`value`: Krippendorff's alpha between judges, or the share of pairs put in the person's order, with its error."""

    what: str
    value: float
    stderr: float | None
    pairs: int
    low: bool

    @property
    def figure(self) -> str:
        return f"{self.value:.2f}" + ("" if self.stderr is None else f" ± {self.stderr:.2f}")

    @property
    def said(self) -> str:
        warning = ": low, so trust no order that rests on it" if self.low else ""
        return f"{self.what} {self.figure} ({self.pairs} pairs){warning}"


@dataclass(frozen=True)
class Counted:
    """Of pairs that a person decided differently: how many a judge put in the person's order, by theme, [theme]."""

    right: Array
    pairs: Array

    @property
    def share(self) -> float:
        return float(self.right.sum() / self.pairs.sum())

    @property
    def stderr(self) -> float:
        """Over themes, whose pairs share texts; of few themes never less than of so many single pairs."""
        off = self.right - self.share * self.pairs
        themes, pairs = len(off), float(self.pairs.sum())
        over_themes = math.sqrt(float(off @ off) * themes / max(themes - 1, 1)) / pairs
        alone = math.sqrt(self.share * (1 - self.share) / pairs)
        return max(over_themes, alone) if themes > 1 else alone


def between_judges(verdicts: Sequence[Verdict]) -> Agreement | None:
    """Alpha (ordinal) over the ranks that judges gave the texts of the same blocks; None without two on any block.

    What one of several could not score is left out of its row alone.
    """
    by_block: dict[tuple[str, ...], dict[str, list[int]]] = {}
    for verdict in verdicts:
        if verdict.unscored is None:
            by_block.setdefault(tuple(verdict.ids), {})[verdict.judge] = verdict.order
    both = [orders for orders in by_block.values() if len(orders) > 1]
    if not both:
        return None
    judges = sorted({judge for orders in both for judge in orders})
    sizes = [len(next(iter(orders.values()))) for orders in both]
    ranks = [
        [
            orders[judge].index(place) if judge in orders else math.nan
            for orders, size in zip(both, sizes, strict=True)
            for place in range(size)
        ]
        for judge in judges
    ]
    alpha = float(krippendorff.alpha(reliability_data=np.array(ranks), level_of_measurement="ordinal"))
    return Agreement(
        what="agreement of the judges (Krippendorff's alpha)",
        value=alpha,
        stderr=None,
        pairs=len(ranks[0]),
        low=alpha < LOW_ALPHA,
    )


def with_people(verdicts: Sequence[Verdict], decisions: Mapping[str, str]) -> Agreement | None:
    """Of two texts in a block that a person decided differently, how often the judge put the better one first.

    None when there are too few such pairs.
    """
    counted = counted_pairs(verdicts, decisions, sorted({verdict.theme for verdict in verdicts}))
    pairs = int(counted.pairs.sum())
    if pairs < _LEAST_PAIRS:
        return None
    return Agreement(
        what="agreement with the person's decisions",
        value=counted.share,
        stderr=counted.stderr,
        pairs=pairs,
        low=counted.share < LOW_SHARE,
    )


def people_by_judge(verdicts: Sequence[Verdict], decisions: Mapping[str, str]) -> dict[str, Agreement]:
    """The same of each judge by itself; one with too few pairs is left out."""
    of_judge: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        of_judge.setdefault(verdict.judge, []).append(verdict)
    found = {judge: with_people(own, decisions) for judge, own in of_judge.items()}
    return {judge: agreement for judge, agreement in found.items() if agreement is not None}


def counted_pairs(verdicts: Sequence[Verdict], decisions: Mapping[str, str], themes: Sequence[str]) -> Counted:
    """Over all verdicts that could be read, by theme."""
    right, pairs = np.zeros(len(themes)), np.zeros(len(themes))
    numbers = {theme: number for number, theme in enumerate(themes)}
    for verdict in verdicts:
        if verdict.unscored is not None or len(verdict.order) < 2:
            continue
        ranked = [verdict.ids[place] for place in verdict.order]
        for better, worse in itertools.combinations(ranked, 2):
            one, other = WORTH.get(decisions.get(better, "")), WORTH.get(decisions.get(worse, ""))
            if one is not None and other is not None and one != other:
                pairs[numbers[verdict.theme]] += 1
                right[numbers[verdict.theme]] += one > other
    return Counted(right, pairs)
