"""A search as an Optuna study that the same command goes on with.

Knows nothing of training: it gets a function from one combination to its value.
"""

import itertools
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import optuna
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner, SuccessiveHalvingPruner
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from harness.config.axes import Axis, Space, Value
from harness.config.schema import SweepConfig
from harness.errors import reason
from harness.files import one_at_a_time
from harness.sweeping.lease import is_gone, own_lease

Combination = dict[str, Value]

_LEASE, _ATTEMPT, _FAILURE, _PARENT, _SAME = "lease", "attempt", "failure", "parent", "same_as"
_ENDED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
_PATIENCE = 50  # suggestions of what was tried before, until the search is taken to be over


@dataclass(frozen=True)
class Trial:
    """`attempt`: 1, and one more each time that its process died; `report` tells a value at an update and says
    whether the trial is to end there."""

    number: int
    params: Combination
    attempt: int = 1
    report: Callable[[int, float], bool] = field(default=lambda step, value: False, compare=False)


@dataclass(frozen=True)
class Verdict:
    """What became of a trial. `pruned`: it was ended early, and `value` is its last."""

    value: float
    pruned: bool = False


@dataclass(frozen=True)
class Result:
    """`value` is None when the trial failed; then `failure` says why."""

    trial: Trial
    value: float | None
    failure: str | None
    pruned: bool = False


Objective = Callable[[Trial], Verdict]


def combinations(axes: Sequence[Axis]) -> Iterator[Combination]:
    """All of them, the last axis varying fastest."""
    for values in itertools.product(*(axis.values for axis in axes)):
        yield dict(zip((axis.name for axis in axes), values, strict=True))


class Study:
    """Kept in `folder`/<name>.journal; minimizes. Several processes may work on it at a time."""

    def __init__(self, name: str, folder: Path, space: Space, search: SweepConfig) -> None:
        optuna.logging.set_verbosity(logging.WARNING)
        folder.mkdir(parents=True, exist_ok=True)
        self._space, self._search = space, search
        self._lock = folder / f"{name}.lock"
        storage = JournalStorage(JournalFileBackend(str(folder / f"{name}.journal")))
        with one_at_a_time(self._lock):
            self._study = optuna.create_study(
                study_name=name,
                storage=storage,
                direction="minimize",
                load_if_exists=True,
                pruner=_pruner(search),
            )
            if search.trials is None:  # always in the same order: an interrupted start is gone on with
                for combination in itertools.islice(combinations(space.lists), len(self._study.trials), None):
                    self._study.enqueue_trial(combination)
        # another seed each time, else a study that is gone on with would suggest its first trials again
        self._study.sampler = _sampler(search, len(self._study.trials))

    @property
    def total(self) -> int:
        """How many trials there will be."""
        every = 1
        for axis in self._space.lists:
            every *= len(axis.values)
        if self._search.trials is None or (every < self._search.trials and not self._space.endless):
            return every
        return self._search.trials

    @property
    def sampler(self) -> str:
        """By its name in sweep.sampler."""
        auto = "grid" if self._search.trials is None else "tpe"
        return auto if self._search.sampler == "auto" else self._search.sampler

    @property
    def parent(self) -> str | None:
        """What `set_parent` was told."""
        found: str | None = self._study.user_attrs.get(_PARENT)
        return found

    def set_parent(self, run_id: str) -> None:
        self._study.set_user_attr(_PARENT, run_id)

    def results(self) -> list[Result]:
        """Of the trials that have ended."""
        return [self._result(trial) for trial in self._study.get_trials(states=_ENDED) if _SAME not in trial.user_attrs]

    def run(self, objective: Objective, on_end: Callable[[list[Result]], None] = lambda results: None) -> None:
        """Try what is left, one trial after the other, telling `on_end` all results so far after each.

        A trial that raises is told as failed, with the reason, and the next one begins. Ctrl-C ends this; the trial it
        struck is taken up by the next call, like one whose process died.
        """
        while True:
            with one_at_a_time(self._lock):
                taken = self._take()
            if taken is None:
                return
            self._one(taken, objective)
            on_end(self.results())

    def _take(self) -> optuna.trial.Trial | None:
        """The next trial, now this process's: one that another left, or a new one."""
        trials = self._study.get_trials(deepcopy=False)
        for left in trials:
            if left.state is TrialState.RUNNING and is_gone(left.user_attrs.get(_LEASE)):
                trial = optuna.trial.Trial(self._study, left._trial_id)
                self._suggest(trial)  # what its process may not have come to
                if self._lease(trial, left.user_attrs.get(_ATTEMPT, 0) + 1):
                    return trial
        begun = sum(trial.state is not TrialState.WAITING and _SAME not in trial.user_attrs for trial in trials)
        asked = self._ask() if begun < self.total else None
        if asked is not None:
            self._lease(asked, 1)
        return asked

    def _lease(self, trial: optuna.trial.Trial, attempt: int) -> bool:
        if attempt > 1 + self._search.retries:
            trial.set_user_attr(
                _FAILURE, f"its process died {attempt - 1} times (sweep.retries={self._search.retries})"
            )
            self._study.tell(trial, state=TrialState.FAIL)
            return False
        trial.set_user_attr(_ATTEMPT, attempt)
        trial.set_user_attr(_LEASE, own_lease())
        return True

    def _ask(self) -> optuna.trial.Trial | None:
        """A combination that was not tried before; None when the sampler comes up with no other."""
        for _ in range(_PATIENCE):
            asked = self._study.ask()
            self._suggest(asked)
            earlier = (trial for trial in self._study.get_trials(deepcopy=False) if trial.number < asked.number)
            same = next((trial for trial in earlier if trial.params == asked.params), None)
            if same is None:
                return asked
            asked.set_user_attr(_SAME, same.number)  # the sampler learns of it, and it counts as no trial
            if same.state is TrialState.COMPLETE:
                self._study.tell(asked, same.value)
            else:
                self._study.tell(asked, state=TrialState.FAIL)
        return None

    def _suggest(self, trial: optuna.trial.Trial) -> None:
        """A value for each axis, the one it has if it has one."""
        for axis in self._space.axes:
            if isinstance(axis, Axis):
                trial.suggest_categorical(axis.name, axis.values)
            elif axis.whole:
                trial.suggest_int(axis.name, int(axis.low), int(axis.high), log=axis.log)
            else:
                trial.suggest_float(axis.name, axis.low, axis.high, log=axis.log)

    def _one(self, asked: optuna.trial.Trial, objective: Objective) -> None:
        attempt, known = int(asked.user_attrs[_ATTEMPT]), self._reported(asked.number)

        def report(step: int, value: float) -> bool:
            if step not in known:
                asked.report(value, step)
            return asked.should_prune()

        trial = Trial(asked.number, dict(asked.params), attempt, report)
        try:
            verdict = objective(trial)
        except KeyboardInterrupt:  # no fault of the trial's
            asked.set_user_attr(_ATTEMPT, attempt - 1)
            asked.set_user_attr(_LEASE, None)
            raise
        except Exception as error:  # whatever a trial dies of, the others go on
            asked.set_user_attr(_FAILURE, reason(error))
            self._study.tell(asked, state=TrialState.FAIL)
            return
        if verdict.pruned:
            self._study.tell(asked, state=TrialState.PRUNED)
        else:
            self._study.tell(asked, verdict.value)

    def _reported(self, number: int) -> set[int]:
        """Updates that an earlier attempt reported."""
        return set(self._study.get_trials(deepcopy=False)[number].intermediate_values)

    def _result(self, told: FrozenTrial) -> Result:
        trial = Trial(told.number, dict(told.params), int(told.user_attrs.get(_ATTEMPT, 1)))
        failure = told.user_attrs.get(_FAILURE) if told.state is TrialState.FAIL else None
        return Result(trial, told.value, failure, told.state is TrialState.PRUNED)


def _sampler(search: SweepConfig, trials: int) -> BaseSampler:
    if search.trials is None or search.sampler == "random":
        return RandomSampler(seed=search.seed + trials)
    return TPESampler(seed=search.seed + trials, constant_liar=True)


def _pruner(search: SweepConfig) -> BasePruner:
    match search.pruner:
        case "median":
            return MedianPruner()
        case "halving":
            return SuccessiveHalvingPruner()
        case "hyperband":
            return HyperbandPruner()
    return NopPruner()
