"""One trial: what is handed out to be tried, how that ended, and what the study knows of it afterwards."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from optuna.trial import FrozenTrial, TrialState

from harness.config.axes import Combination
from harness.errors import HarnessError
from harness.sweeping.again import counts_as
from harness.sweeping.attributes import ATTEMPT, FAILURE, RUN
from harness.sweeping.states import TrialStatus


@dataclass(frozen=True)
class Trial:
    """`place`: counted from 1; `attempt`: 1, and one more each time that its process was seen to die.

    `report` tells a value at an update and says whether the trial is to end there, `stopped` whether the study is to
    be left, for a later command to go on with; `run` is told the id of the run that the trial became, `begun_as` is
    that of an earlier attempt.
    """

    number: int
    place: int
    params: Combination
    attempt: int = 1
    begun_as: str | None = field(default=None, compare=False)
    report: Callable[[int, float], bool] = field(default=lambda step, value: False, compare=False)
    stopped: Callable[[], bool] = field(default=lambda: False, compare=False)
    run: Callable[[str], None] = field(default=lambda run_id: None, compare=False)


class RequirementError(HarnessError):
    """A trial has a `value`, but breaks what is required, `by` so much of each condition: it counts as failed."""

    def __init__(self, message: str, *, value: float, by: Mapping[str, float]) -> None:
        super().__init__(message)
        self.value, self.by = value, by


@dataclass(frozen=True)
class TrialEnd:
    """What became of a trial. `pruned`: it was ended early, and `value` is its last."""

    value: float
    pruned: bool = False


# tries a trial; what it raises is why the trial failed
Objective = Callable[[Trial], TrialEnd]


@dataclass(frozen=True)
class Result:
    """`value` is None when the trial failed; then `failure` says why. `seconds`: from its first beginning."""

    trial: Trial
    value: float | None
    failure: str | None
    pruned: bool = False
    run_id: str | None = field(default=None, compare=False)
    seconds: float = field(default=0.0, compare=False)

    @property
    def status(self) -> TrialStatus:
        if self.failure is not None:
            return TrialStatus.FAILED
        return TrialStatus.PRUNED if self.pruned else TrialStatus.DONE


def best_results(results: Sequence[Result]) -> list[Result]:
    """Those that were tried to their end, the best first."""
    whole = [result for result in results if result.value is not None and not result.pruned]
    return sorted(whole, key=lambda result: (result.value, result.trial.number))


_STATUSES = {
    TrialState.COMPLETE: TrialStatus.DONE,
    TrialState.PRUNED: TrialStatus.PRUNED,
    TrialState.FAIL: TrialStatus.FAILED,
    TrialState.RUNNING: TrialStatus.RUNNING,
    TrialState.WAITING: TrialStatus.WAITING,
}


def status_of(trial: FrozenTrial) -> TrialStatus:
    return _STATUSES[trial.state]


def result_of(place: int, told: FrozenTrial) -> Result:
    """Of a trial that has ended."""
    return Result(
        trial=Trial(counts_as(told), place, dict(told.params), int(told.user_attrs.get(ATTEMPT, 1))),
        value=told.value,
        failure=told.user_attrs.get(FAILURE, "?") if told.state is TrialState.FAIL else None,
        pruned=told.state is TrialState.PRUNED,
        run_id=told.user_attrs.get(RUN),
        seconds=told.duration.total_seconds() if told.duration else 0.0,
    )
