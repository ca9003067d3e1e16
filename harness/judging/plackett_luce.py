"""What a judge's rankings say of strengths: Plackett-Luce with effects of place and length, fitted.

A text's strength is its adapter's rating, plus what its place in the block and its length are worth to the judge
(Plackett 1975, Luce 1959; fitted by penalized maximum likelihood). Knows nothing of what is concluded from it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

Array = NDArray[np.float64]

_PRIOR = 0.25  # precision of a rating about 0, a deviation of 2 logits: keeps an adapter that always wins finite
_EFFECT_PRIOR = 1.0  # of the effects of place and length, which are small unless the data say otherwise
# a text that is farther than this from the usual length, in e-foldings, counts as if it were just so far: a judge that
# puts last who writes nothing has no bias, and its rating must not be lifted as if it had written as much as others
_FARTHEST = 1.0


@dataclass(frozen=True)
class Ranked:
    """One judge's verdict: adapters as shown, their texts' lengths in units, the places of the best to the worst.

    `traits`: more of each text as shown, [text][trait], of all verdicts alike; what it is worth is fitted too.
    """

    theme: str
    adapters: list[str]
    lengths: list[int]
    order: list[int]
    judge: str = ""
    traits: Sequence[Sequence[float]] = ()


@dataclass(frozen=True)
class Fit:
    """Parameters are ratings, effects of the places, of length, and of each trait; ratings and places have a mean of 0.

    `value`: [size]. `slopes`: what each verdict pulls at the parameters, [verdict, size]. `information`: curvature of
    the likelihood alone, [size, size]. `solve`: from a pull to a move of the parameters, [size, size]. `prior`: of the
    precision that keeps them finite, [size].
    """

    value: Array
    slopes: Array
    information: Array
    solve: Array
    prior: Array


class Rankings:
    """Verdicts as arrays, in the order of the ranking: [verdict, place], padded to the largest block."""

    def __init__(self, verdicts: Sequence[Ranked], adapters: Sequence[str]) -> None:
        self.adapters = list(adapters)
        numbers = {adapter: number for number, adapter in enumerate(adapters)}
        self.width = max((len(verdict.order) for verdict in verdicts), default=1)
        traits = max((len(of_text) for verdict in verdicts for of_text in verdict.traits), default=0)
        shape = (len(verdicts), self.width)
        self._who, self._there = np.zeros(shape, np.int64), np.zeros(shape, bool)
        self._place, length = np.zeros(shape, np.int64), np.zeros(shape)
        self._said = np.zeros((*shape, 1 + traits))  # length and traits, [verdict, place, 1 + trait]
        for row, verdict in enumerate(verdicts):
            for rank, at in enumerate(verdict.order):
                self._who[row, rank] = numbers[verdict.adapters[at]]
                self._place[row, rank] = at
                length[row, rank] = np.log(1 + verdict.lengths[at])
                self._there[row, rank] = True
                self._said[row, rank, 1:] = verdict.traits[at] if verdict.traits else 0.0
        self._said[:, :, 0] = np.where(self._there, _about_the_usual(length, self._there), 0.0)
        self.length = len(self.adapters) + self.width  # its place among the parameters; those of traits follow
        self.size = self.length + 1 + traits
        self._prior = np.full(self.size, _EFFECT_PRIOR)
        self._prior[: len(self.adapters)] = _PRIOR

    def fit(self) -> Fit:
        """By penalized maximum likelihood, with what it takes to tell how sure it is."""
        found = minimize(self._loss, np.zeros(self.size), jac=True, method="L-BFGS-B")
        centred = self._centring()
        value: Array = centred @ found.x
        slopes, information = self._curvature(value)
        solve = centred @ np.linalg.inv(information + np.diag(self._prior))
        return Fit(value, slopes, information, solve, self._prior)

    def _centring(self) -> Array:
        """Moves the mean of the ratings, and that of the places, to 0: [size, size]."""
        centred, count = np.eye(self.size), len(self.adapters)
        centred[:count, :count] -= 1 / count
        centred[count : self.length, count : self.length] -= 1 / self.width
        return centred

    def _powers(self, value: Array) -> tuple[Array, Array]:
        """Logarithms of what the texts weigh, and those weights, [verdict, place], the largest of a verdict 1."""
        count = len(self.adapters)
        strength = value[self._who] + value[count + self._place] + self._said @ value[self.length :]
        strength = np.where(self._there, strength, -np.inf)
        strength -= strength.max(axis=1, keepdims=True, initial=-1e300)
        return strength, np.exp(strength)

    def _loss(self, value: Array) -> tuple[float, Array]:
        """Negative log likelihood with its gradient."""
        count = len(self.adapters)
        strength, powers = self._powers(value)
        rest = np.cumsum(powers[:, ::-1], axis=1)[:, ::-1]  # of all that are still to be placed
        rest = np.where(self._there, rest, 1.0)
        loss = -np.where(self._there, strength - np.log(rest), 0.0).sum()
        # each text loses at every choice that it could have been: its power over what was there
        chances = powers * np.cumsum(np.where(self._there, 1 / rest, 0.0), axis=1)
        slope = np.where(self._there, chances - 1.0, 0.0)
        gradient = np.bincount(self._who.ravel(), slope.ravel(), self.size)
        gradient += np.bincount(count + self._place.ravel(), slope.ravel(), self.size)
        gradient[self.length :] += np.einsum("vp,vpt->t", slope, self._said)
        loss += 0.5 * float((self._prior * value**2).sum())
        return float(loss), gradient + self._prior * value

    def _curvature(self, value: Array) -> tuple[Array, Array]:
        """The likelihood's slope by verdict, [verdict, size], and its information, [size, size]."""
        verdicts, width = self._who.shape
        features = np.zeros((verdicts, width, self.size))  # of the text at each place of a ranking
        rows, places = np.indices((verdicts, width))
        features[rows, places, self._who] += self._there
        features[rows, places, len(self.adapters) + self._place] += self._there
        features[:, :, self.length :] = self._said
        powers = self._powers(value)[1]
        # at the choice of each place, the chance of every text that was left: [verdict, choice, text]
        left = powers[:, None, :] * np.triu(np.ones((width, width)))
        chances = left / np.maximum(left.sum(axis=2, keepdims=True), 1e-300) * self._there[:, :, None]
        expected = chances @ features
        slopes: Array = features.sum(axis=1) - expected.sum(axis=1)
        flat, means = features.reshape(-1, self.size), expected.reshape(-1, self.size)
        information: Array = flat.T @ (chances.sum(axis=1).reshape(-1, 1) * flat) - means.T @ means
        return slopes, information


def _about_the_usual(length: Array, there: NDArray[np.bool_]) -> Array:
    """Logarithms of lengths, kept within reach of the median, about their mean: [verdict, place]."""
    if not there.any():
        return length
    usual = np.median(length[there])
    near = np.clip(length, usual - _FARTHEST, usual + _FARTHEST)
    about: Array = near - near[there].mean()
    return about
