"""How sure a fit is: from what each theme's verdicts pull at it to covariances and degrees of freedom.

Errors come from how themes differ in what they pull (Liang and Zeger 1986: no sample is fitted again). With few themes
that is poorly known for a single adapter, so it is drawn towards the spread that the rankings alone imply, times what
all adapters together show beyond it; and it is never smaller than the curvature of the fit allows: who has won every
time pulls nowhere.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.judging.plackett_luce import Fit

Array = NDArray[np.float64]

_SHARED_THEMES = 10  # so many themes' weight has the spread that all adapters share, beside each one's own


@dataclass(frozen=True)
class Pulls:
    """What a fit's errors are made of: `moves` of the parameters by each theme, [theme, size]; covariances [size, size]
    `implied` by the rankings alone, and of what the `prior` keeps from the parameters."""

    moves: Array
    implied: Array
    prior: Array

    def of_ratings(self, count: int) -> "Pulls":
        """Those of the first parameters alone."""
        return Pulls(self.moves[:, :count], self.implied[:count, :count], self.prior[:count, :count])


@dataclass(frozen=True)
class Spread:
    """Covariance of the parameters, [size, size], and the least that it may be; `degrees`: of freedom behind it."""

    found: Array
    least: Array
    degrees: float

    def error(self, of: Array) -> float:
        """Standard error of a sum of parameters with these weights."""
        return float(np.sqrt(max(of @ self.found @ of, of @ self.least @ of)))

    def of_ratings(self, count: int) -> Array:
        """Covariance of the first parameters, none of them surer than it may be: [count, count]."""
        found, least = self.found[:count, :count], np.diag(self.least)[:count]
        wider = np.sqrt(np.maximum(1.0, least / np.diag(found)))
        covariance: Array = found * wider[:, None] * wider[None, :]
        return covariance


def pulls_of(fit: Fit, theme: NDArray[np.int64], themes: int) -> Pulls:
    """`theme`: the number of each verdict's, of so many, [verdict]."""
    pulls = np.zeros((max(themes, 2), fit.slopes.shape[1]))
    np.add.at(pulls, theme, fit.slopes)
    moves = (pulls - pulls.mean(axis=0)) @ fit.solve.T
    implied = fit.solve @ fit.information @ fit.solve.T
    return Pulls(moves, implied, fit.solve @ np.diag(fit.prior) @ fit.solve.T)


def spread_of(pulls: Pulls, adapters: int) -> Spread:
    themes = len(pulls.moves)
    seen = pulls.moves.T @ pulls.moves * themes / (themes - 1)
    of_ratings = [float(np.trace(matrix[:adapters, :adapters])) for matrix in (seen, pulls.implied)]
    beyond = max(1.0, of_ratings[0] / max(of_ratings[1], 1e-300))
    share = _SHARED_THEMES / (_SHARED_THEMES + themes - 1)
    found = share * beyond * pulls.implied + (1 - share) * seen + pulls.prior
    return Spread(found, pulls.implied + pulls.prior, themes - 1 + _SHARED_THEMES)
