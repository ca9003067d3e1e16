"""How much of what separates a sweep's trials is noise: of their seeds, and of the validation rows that chose."""

from collections.abc import Sequence
from dataclasses import dataclass

from harness.config.objective import VALID_LOSS, Objective
from harness.multirun.repeats import deviation, noise_floor
from harness.statistics.choice import reach_of_best
from harness.tracking.luck import luck_of
from harness.tracking.queries import Finished
from harness.tracking.store import Store

# a trial's run, if MLflow knows it, with what the search made small
Tried = tuple[Finished | None, float | None]


@dataclass(frozen=True)
class Noise:
    """`alike`: runs that may be the best as well, for one of both reasons; `said`: of it, in sentences."""

    alike: frozenset[str]
    said: list[str]


def noise_of(store: Store, best: Sequence[Tried], again: Sequence[Finished], objective: Objective) -> Noise:
    """Of finished trials, the best first; `again`: runs of some of them with other seeds."""
    alike: set[str] = set()
    said = []
    luck = luck_of(store, [run.run_id for run, _ in best if run]) if objective == VALID_LOSS else None
    if luck is not None:
        alike |= luck.alike
        said.append(f"The best was {luck.said}.")
    groups = _groups(best, again, objective)
    if groups:
        reach = reach_of_best(*deviation(groups), len(best))
        lowest = best[0][1] or 0.0
        alike |= {run.run_id for run, value in best if run and value is not None and value - lowest < reach}
        said.append(
            f"Of the best trained again with other seeds, two runs that differ by less than {noise_floor(groups):.4f} "
            f"may differ by their seeds alone; the best of {len(best)} runs may be so by up to {reach:.4f}."
        )
    else:
        said.append("What other seeds would change was not measured: sweep.repeats=3 trains the best again with them.")
    if luck is not None or groups:
        said.append("In the table, what may be the best as well, on other rows or with other seeds, is marked ≈.")
    return Noise(frozenset(alike), said)


def _groups(best: Sequence[Tried], again: Sequence[Finished], objective: Objective) -> list[list[float]]:
    """Scores that differ by their seeds, of each trial that was trained again."""
    groups = []
    for run, value in best:
        values = [
            objective.minimized(other.metrics)
            for other in again
            if run is not None and other.tags["trial"] == run.tags["trial"] and objective.name in other.metrics
        ]
        if values and value is not None:
            groups.append([value, *values])
    return groups
