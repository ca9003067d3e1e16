"""How much of a difference is noise: the best of a sweep trained again with other seeds."""

import hashlib
import json
import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.config.axes import Axis, Space
from harness.config.schema import Config
from harness.sweeping.trial import Result

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
        """A line for each of the best, and what two single runs must differ by."""
        groups = []
        for best in self.best:
            of = [result for result in results if result.trial.params["trial"] == best.trial.number]
            values = [each.value for each in [best, *of] if each.value is not None]
            if len(values) > 1:
                groups.append(values)
                spread = f"{statistics.mean(values):.4f} ± {statistics.stdev(values):.4f} over {len(values)} seeds"
                yield f"{space.varying(best.trial.params)}: {spread}"
        if groups:
            yield f"two runs that differ by less than {noise_floor(groups):.4f} may differ by their seeds alone"


def noise_floor(groups: Sequence[Sequence[float]]) -> float:
    """1.96 standard deviations of a difference, from runs that differ by their seeds within each group, pooled."""
    squares = sum(statistics.variance(values) * (len(values) - 1) for values in groups)
    return 1.96 * math.sqrt(2 * squares / sum(len(values) - 1 for values in groups))
