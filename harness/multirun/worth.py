"""What a trial's run comes to for the search: the metric that steers it, if all that is required holds."""

from collections.abc import Mapping

from harness.config.conditions import read_requirement
from harness.config.objective import WIN_RATE, objective
from harness.config.schema import Config
from harness.errors import HarnessError


def worth(config: Config, totals: Mapping[str, float]) -> float:
    """The value to be made small.

    Raises:
        HarnessError: when it has no score, or breaks what is required.
    """
    metric = config.sweep.metric
    if metric not in totals:
        raise HarnessError(f"it has no {metric}: {_WHY_NOT[metric == WIN_RATE.name]}")
    measured = {name.replace("/", "."): value for name, value in totals.items()}
    for text in config.sweep.require:
        condition = read_requirement(text)
        if missing := [name for name in condition.names if name not in measured]:
            raise HarnessError(f"it cannot be told whether it meets {text}: it has no {', '.join(missing)}")
        if not condition.holds(measured):
            values = ", ".join(f"{name} is {measured[name]:.4g}" for name in condition.names)
            raise HarnessError(f"it breaks sweep.require={text}: {values}")
    return objective(metric).minimized(totals)


_WHY_NOT = {True: "the judge left it unscored, its run says why", False: "set what it is measured with"}
