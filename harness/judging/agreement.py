"""How far judges agree with one another, and with people."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import krippendorff
import numpy as np

from harness.judging.verdicts import Verdict

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
    def said(self) -> str:
        error = "" if self.stderr is None else f" ± {self.stderr:.2f}"
        warning = ": low, so trust no order that rests on it" if self.low else ""
        return f"{self.what} {self.value:.2f}{error} ({self.pairs} pairs){warning}"


def between_judges(verdicts: Sequence[Verdict]) -> Agreement | None:
    """Alpha (ordinal) over the ranks that two judges gave the texts of the same blocks; None without such blocks."""
    by_block: dict[tuple[str, ...], dict[str, list[int]]] = {}
    for verdict in verdicts:
        if verdict.unscored is None:
            by_block.setdefault(tuple(verdict.ids), {})[verdict.judge] = verdict.order
    judges = sorted({verdict.judge for verdict in verdicts})
    if len(judges) < 2:
        return None
    both = [orders for orders in by_block.values() if len(orders) == len(judges)]
    if not both:
        return None
    ranks = [[orders[judge].index(place) for orders in both for place in range(len(orders[judge]))] for judge in judges]
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
    right = []
    for verdict in verdicts:
        if verdict.unscored is not None or len(verdict.order) < 2:
            continue
        ranked = [verdict.ids[place] for place in verdict.order]
        for better, worse in itertools.combinations(ranked, 2):
            one, other = WORTH.get(decisions.get(better, "")), WORTH.get(decisions.get(worse, ""))
            if one is not None and other is not None and one != other:
                right.append(one > other)
    if len(right) < _LEAST_PAIRS:
        return None
    share = sum(right) / len(right)
    error = math.sqrt(share * (1 - share) / len(right))
    return Agreement(
        what="agreement with the person's decisions",
        value=share,
        stderr=error,
        pairs=len(right),
        low=share < LOW_SHARE,
    )
