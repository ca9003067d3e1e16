"""Whether the best of a search lies at the edge of what was searched, and what to type to search beyond it.

Of numbers only: lists of three and more, and ranges. Knows nothing of what a setting does.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState

from harness.sweeping.attributes import RUN
from harness.sweeping.listing import Listed, counted
from harness.sweeping.storage import Studies

_ALL = {"lora.num_layers": -1}  # a value that stands for as many as there are
_BELOW_ONE = {"lora.dropout"}
_NEAR = 0.1  # of a range's width
_LEAST = 3  # of fewer values each is at an edge


@dataclass(frozen=True)
class Edge:
    """`wider`: the override that searches beyond. `inside`: runs whose value lies further in."""

    name: str
    value: float
    upper: bool
    wider: str
    inside: frozenset[str]

    @property
    def said(self) -> str:
        return f"{self.name}={self.value:.4g} of the best lies at the {'upper' if self.upper else 'lower'} edge"


def edges_of_best(studies: Studies, listed: Listed) -> list[Edge]:
    """Of the trial with the lowest value so far, one for each name that it is at an edge of."""
    stored = optuna.load_study(study_name=listed.name, storage=studies.storage(listed.name))
    done = [trial for trial in counted(stored) if trial.state is TrialState.COMPLETE and trial.value is not None]
    if not done:
        return []
    best = min(done, key=lambda trial: (trial.value, trial.number))
    found = (_edge(name, best, done) for name in sorted(best.params))
    return [edge for edge in found if edge is not None]


def _edge(name: str, best: FrozenTrial, done: Sequence[FrozenTrial]) -> Edge | None:
    distribution, value = best.distributions[name], best.params[name]
    side = _side(name, distribution, value)
    if side is None:
        return None
    wider = _wider(name, distribution, upper=side)
    if wider is None:
        return None
    inside = (trial for trial in done if name in trial.params and _side(name, distribution, trial.params[name]) is None)
    runs = frozenset(str(trial.user_attrs[RUN]) for trial in inside if RUN in trial.user_attrs)
    return Edge(name, float(value), side, f"{name}={wider}", runs)


def _side(name: str, distribution: BaseDistribution, value: Any) -> bool | None:
    """True at the upper edge, False at the lower one, None inside or where there is none."""
    if isinstance(distribution, CategoricalDistribution):
        values = _numbers(name, distribution)
        if values is None or value not in (values[0], values[-1]):
            return None
        return bool(value == values[-1])
    assert isinstance(distribution, FloatDistribution | IntDistribution), "there are no others"
    place = math.log if distribution.log else float
    low, high = place(distribution.low), place(distribution.high)
    share = (place(value) - low) / (high - low) if high > low else 0.5
    return None if _NEAR <= share <= 1 - _NEAR else share > 0.5


def _numbers(name: str, distribution: CategoricalDistribution) -> list[float] | None:
    """The values in order, those without an end last; None where they are no numbers, or a seed's."""
    choices = set(distribution.choices)
    if name.endswith("seed") or len(choices) < _LEAST:
        return None
    numbers = [each for each in choices if isinstance(each, int | float) and not isinstance(each, bool)]
    if len(numbers) < len(choices):
        return None
    return sorted(numbers, key=lambda each: math.inf if each == _ALL.get(name) else each)


def _wider(name: str, distribution: BaseDistribution, *, upper: bool) -> str | None:
    """The values to search then, as they are typed; None where there is nothing beyond."""
    if isinstance(distribution, CategoricalDistribution):
        values = _numbers(name, distribution)
        assert values is not None, "it has an edge"
        if upper and values[-1] == _ALL.get(name):
            return None
        # how many there are is not known here: all of them are never too many
        beyond = _ALL[name] if upper and name in _ALL else _next(values if upper else values[::-1])
        if beyond != _ALL.get(name) and not _possible(name, beyond, values):
            return None
        return ",".join(map(str, [*values, beyond] if upper else [beyond, *values]))
    assert isinstance(distribution, FloatDistribution | IntDistribution), "there are no others"
    low, high = _stretched(distribution, upper=upper)
    if (low, high) == (distribution.low, distribution.high) or not _possible(name, high if upper else low, [low]):
        return None
    interval = f"interval({low:g},{high:g})"
    interval = f"tag(log,{interval})" if distribution.log else interval
    return f"int({interval})" if isinstance(distribution, IntDistribution) else interval


def _next(values: Sequence[float]) -> float:
    """What comes after the last: by the same factor where all are apart by one, ten at most, else by the last step."""
    *_, before, last = values
    ratios = [two / one for one, two in itertools.pairwise(values) if one]
    even = len(ratios) == len(values) - 1 and max(ratios) - min(ratios) < 1e-6 * abs(max(ratios))
    found = last * min(max(ratios[-1], 0.1), 10) if even else last + (last - before)
    if found <= 0 < last:
        found = last / 2
    whole = all(isinstance(value, int) for value in values)
    return round(found) if whole else float(f"{found:.3g}")


def _possible(name: str, beyond: float, values: Sequence[float]) -> bool:
    """Whether it is new, and a setting can be that."""
    return beyond > 0 and not (name in _BELOW_ONE and beyond >= 1) and (len(values) < 2 or beyond not in values)


def _stretched(distribution: FloatDistribution | IntDistribution, *, upper: bool) -> tuple[float, float]:
    """By half of the width, or where it goes by factors by that of three."""
    low, high = distribution.low, distribution.high
    if distribution.log:
        factor = 3.0 if high / low >= 3 else high / low
        ends = (low, high * factor) if upper else (low / factor, high)
    else:
        half = (high - low) / 2
        ends = (low, high + half) if upper else (low - half if low > half else low / 2, high)
    if isinstance(distribution, IntDistribution):
        return max(round(ends[0]), 1), round(ends[1])
    return float(f"{ends[0]:.1g}") if ends[0] != low else low, float(f"{ends[1]:.1g}") if ends[1] != high else high
