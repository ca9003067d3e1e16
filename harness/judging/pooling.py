"""From what each judge of a panel thinks of the adapters to one rating of them, and how far its judges' tastes differ.

Each judge is fitted with effects of its own; its ratings count by how surely they are known and by how far they follow
what the others say (none at all for a judge that orders against them). Judges that differ by more than chance make the
ratings less sure: as of a panel drawn from many such judges (random effects, DerSimonian and Laird 1986), so that
errors are over themes and judges both. Knows nothing of verdicts.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.judging.spread import Pulls, Spread, spread_of

Array = NDArray[np.float64]

_ROUNDS = 12  # weights, ratings and tastes hang on each other; by then they have settled
_LIKE_THE_REST = 4.0  # how much it takes to believe otherwise of a judge: about two adapters a logit off the mean
_LEAST_TO_TELL = 3  # of two judges that differ none is the odd one


@dataclass(frozen=True)
class Opinion:
    """One judge's ratings about their mean, [adapter], and what their errors are made of."""

    ratings: Array
    pulls: Pulls


@dataclass(frozen=True)
class Pooled:
    """`weights`: of the judges, adding up to 1, [judge]. `value`: [adapter]. `taste`: standard deviation of what an
    adapter is worth to one judge more than to another, in logits, beyond chance."""

    weights: Array
    value: Array
    spread: Spread
    taste: float


def pool(opinions: Sequence[Opinion]) -> Pooled:
    """Of one judge it is that judge's own."""
    ratings = np.stack([each.ratings for each in opinions])
    count = ratings.shape[1]
    if len(opinions) == 1:
        return Pooled(np.ones(1), ratings[0], spread_of(opinions[0].pulls, count), 0.0)
    noise = np.array([np.trace(spread_of(each.pulls, count).found) for each in opinions]) / max(count - 1, 1)
    weights, taste = np.full(len(opinions), 1 / len(opinions)), 0.0
    for _ in range(_ROUNDS):
        own = _following(ratings, weights, noise + taste) / (noise + taste)
        weights = own / own.sum() if own.any() else np.full(len(own), 1 / len(own))
        taste = _taste(ratings, weights, [each.pulls for each in opinions])
    return Pooled(weights, weights @ ratings, _spread(weights, taste, opinions), float(np.sqrt(taste)))


def _following(ratings: Array, weights: Array, noise: Array) -> Array:
    """By how much each judge's ratings rise with those of the others, drawn towards 1 and never below 0: [judge]."""
    if len(ratings) < _LEAST_TO_TELL:
        return np.ones(len(ratings))
    found = np.ones(len(ratings))
    for judge, own in enumerate(ratings):
        others = np.where(np.arange(len(ratings)) == judge, 0.0, weights)
        if others.any():
            rest = others @ ratings / others.sum()
            together, alone = own @ rest / noise[judge], rest @ rest / noise[judge]
            found[judge] = (together + _LIKE_THE_REST) / (alone + _LIKE_THE_REST)
    return np.clip(found, 0.0, 2.0)


def _taste(ratings: Array, weights: Array, pulls: Sequence[Pulls]) -> float:
    """Variance between judges that chance does not explain, of one adapter's rating."""
    away = ratings - weights @ ratings
    moves = np.stack([each.moves for each in pulls])
    apart = moves - np.tensordot(weights, moves, axes=1)  # judges of the same texts share their luck
    themes = moves.shape[1]
    seen = (apart**2).sum(axis=(1, 2)) * themes / (themes - 1)
    freedom = 1 - 2 * weights + (weights**2).sum()
    implied = np.array([np.trace(each.implied) for each in pulls])
    chance = np.maximum(seen, 0.5 * freedom * implied)
    of_one = float(weights @ freedom) * max(ratings.shape[1] - 1, 1)
    return max(0.0, float(weights @ ((away**2).sum(axis=1) - chance)) / max(of_one, 1e-300))


def _spread(weights: Array, taste: float, opinions: Sequence[Opinion]) -> Spread:
    """Over themes, as of one judge that is all of them; and over judges."""
    pulls = [each.pulls for each in opinions]
    count = pulls[0].moves.shape[1]
    together = Pulls(
        moves=np.tensordot(weights, np.stack([each.moves for each in pulls]), axes=1),
        implied=np.tensordot(weights**2, np.stack([each.implied for each in pulls]), axes=1),
        prior=np.tensordot(weights, np.stack([each.prior for each in pulls]), axes=1),
    )
    themes = spread_of(together, count)
    squares = float((weights**2).sum())
    judges = taste * squares * (np.eye(count) - 1 / count)
    by_themes, by_judges = float(np.trace(themes.found)), float(np.trace(judges))
    of_judges = max((1 / squares - 1) * max(count - 1, 1), 1.0)
    # Satterthwaite's, of a sum of two variances
    degrees = (by_themes + by_judges) ** 2 / (by_themes**2 / themes.degrees + by_judges**2 / of_judges)
    return Spread(themes.found + judges, themes.least + judges, degrees)
