"""How much of a difference is noise: the best of a sweep trained again with other seeds."""

import hashlib
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.config.axes import Axis, Space
from harness.config.schema import Config
from harness.sweeping.study import Result

REPEATED = 3  # how many of the best are trained again


@dataclass(frozen=True)
class Repeats:
    """The best of a sweep again, each with seeds that follow the sweep's own."""

    first: Config
    best: list[Result]

    @property
    def name(self) -> str:
        numbers = [result.trial.number for result in self.best]
        return hashlib.sha256(json.dumps([numbers, self.first.sweep.repeats]).encode()).hexdigest()[:8]

    @property
    def space(self) -> Space:
        seeds = [self.first.train.seed + more for more in range(1, self.first.sweep.repeats + 1)]
        numbers = [result.trial.number for result in self.best]
        return Space(
            [Axis("trial", [*numbers], list(map(str, numbers))), Axis("seed", [*seeds], list(map(str, seeds)))], []
        )

    def said(self, results: Sequence[Result], space: Space) -> Iterator[str]:
        spreads = [spread for best in self.best if (spread := spread_of(best, results)) is not None]
        for spread in spreads:
            values = f"{spread.mean:.4f} ± {spread.stdev:.4f} over {spread.count} seeds"
            yield f"{space.varying(spread.best.trial.params)}: {values}"
        if spreads:
            yield f"two runs that differ by less than {noise_floor(spreads):.4f} may differ by their seeds alone"


@dataclass(frozen=True)
class Spread:
    """One of the best over several seeds, its first run among them."""

    best: Result
    mean: float
    stdev: float
    count: int


def spread_of(best: Result, repeats: Sequence[Result]) -> Spread | None:
    of = [each.value for each in repeats if each.trial.params["trial"] == best.trial.number and each.value is not None]
    if not of or best.value is None:
        return None
    values = [best.value, *of]
    mean = sum(values) / len(values)
    stdev = math.sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1))
    return Spread(best, mean, stdev, len(values))


def noise_stdev(spreads: Sequence[Spread]) -> float:
    """Of one run, pooled over the configurations that were repeated."""
    freedom = sum(spread.count - 1 for spread in spreads)
    return math.sqrt(sum((spread.count - 1) * spread.stdev**2 for spread in spreads) / freedom)


def noise_floor(spreads: Sequence[Spread]) -> float:
    """What two single runs must differ by: 1.96 standard deviations of a difference."""
    return 1.96 * math.sqrt(2) * noise_stdev(spreads)
