"""A search as an Optuna study that the same command goes on with.

Knows nothing of training: it gets a function from one combination to its value.
"""

import itertools
import math
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState

from harness.config.axes import Axis, Combination, Range, Space
from harness.config.schema import SweepConfig
from harness.errors import HarnessError, reason
from harness.sweeping.death import Siblings
from harness.sweeping.lease import Lease, Silences, beating, is_gone, is_here, own_lease
from harness.sweeping.search import make_pruner, make_sampler
from harness.sweeping.storage import Studies

# what a trial, and a study, says of itself in the storage
LEASE, BEAT, ATTEMPT, FAILURE, RUN, STOP = "lease", "beat", "attempt", "failure", "run", "stop"
PARENT, COMMAND, FOLDER, TOTAL, SAID = "parent", "command", "folder", "total", "said"
ASIDE = "aside"  # why a trial counts as none: like another, against a constraint, known from before
STOPPED = "stopped by harness.sweep"  # why it is left, where somebody asked for that
_KNOWN = "known from "
_ENDED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
_PATIENCE = 100  # suggestions of what was tried before or is not allowed, until the search is taken to be over
_STORAGE_PATIENCE_SECONDS = 600.0


@dataclass(frozen=True)
class Trial:
    """`place`: counted from 1; `attempt`: 1, and one more each time that its process died.

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


@dataclass(frozen=True)
class Verdict:
    """What became of a trial. `pruned`: it was ended early, and `value` is its last."""

    value: float
    pruned: bool = False


@dataclass(frozen=True)
class Result:
    """`value` is None when the trial failed; then `failure` says why. `seconds`: from its first beginning."""

    trial: Trial
    value: float | None
    failure: str | None
    pruned: bool = False
    run_id: str | None = field(default=None, compare=False)
    seconds: float = field(default=0.0, compare=False)


@dataclass(frozen=True)
class Pace:
    """Updates of a trial's first and last validation."""

    first: int
    last: int


Objective = Callable[[Trial], Verdict]


class Study:
    """Minimizes. Several processes, also of several machines, may work on it at a time.

    `beat_seconds`: how often a process of several machines says that it is there; three times that without a word, and
    its trial is anyone's.
    """

    def __init__(
        self,
        name: str,
        studies: Studies,
        space: Space,
        search: SweepConfig,
        pace: Pace,
        *,
        siblings: Siblings | None = None,
        beat_seconds: float = 20.0,
    ) -> None:
        self.name, self._studies, self._space, self._search = name, studies, space, search
        self._siblings = siblings or Siblings({})
        self._beat_seconds = beat_seconds
        self._silences = Silences(3 * beat_seconds)
        self._stop_asked = False
        self._ended: dict[int, Result] = {}  # which do not change any more
        pruner = make_pruner(search, pace.first, pace.last)
        with self.alone():
            storage = studies.storage(name)
            self._study = optuna.create_study(
                study_name=name, storage=storage, direction="minimize", load_if_exists=True, pruner=pruner
            )
        self._study.sampler = make_sampler(search, len(self._trials()), conditional=bool(space.rules.only_if))
        # where all are tried: always in the same order, so that whoever goes on knows which is the next
        self._every = list(space.combinations()) if search.trials is None else None
        self._total = self._count()

    def alone(self) -> AbstractContextManager[None]:
        """Inside, no other process changes what is to be tried."""
        return self._studies.alone(self.name)

    @property
    def total(self) -> int:
        """How many trials there will be."""
        return self._total

    def _count(self) -> int:
        if self._search.trials is None:
            return len(self._every or ())
        if self._space.endless:
            return self._search.trials
        return sum(1 for _ in itertools.islice(self._space.combinations(), self._search.trials))

    @property
    def sampler(self) -> str:
        """By its name in sweep.sampler."""
        auto = "grid" if self._search.trials is None else "tpe"
        return auto if self._search.sampler == "auto" else self._search.sampler

    @property
    def parent(self) -> str | None:
        """What `set_parent` was told."""
        return self._attribute(PARENT)

    def set_parent(self, run_id: str) -> None:
        """The run that stands for the study."""
        self._study.set_user_attr(SAID, self._space.said)
        self._study.set_user_attr(PARENT, run_id)

    def set_command(self, words: Sequence[str]) -> None:
        """The words of the last command that worked on it, and where they were typed."""
        self._study.set_user_attr(COMMAND, list(words))
        self._study.set_user_attr(FOLDER, str(Path.cwd()))

    def _attribute(self, name: str) -> Any:
        return self._study.user_attrs.get(name)

    @property
    def stopped(self) -> bool:
        """Whether somebody asked to leave it (harness.sweep stop)."""
        return self._attribute(STOP) is not None

    def unstop(self) -> None:
        if self.stopped:
            self._study.set_user_attr(STOP, None)

    def results(self) -> list[Result]:
        """Of the trials that have ended."""
        counted = (trial for trial in self._trials() if ASIDE not in trial.user_attrs)
        for place, trial in enumerate(counted, 1):
            if trial.state in _ENDED and trial.number not in self._ended:
                self._ended[trial.number] = _result(place, trial)
        return [self._ended[number] for number in sorted(self._ended)]

    @property
    def known(self) -> int:
        """How many trials `add_known` has added."""
        return sum(str(trial.user_attrs.get(ASIDE, "")).startswith(_KNOWN) for trial in self._trials())

    def add_known(self, combination: Combination, value: float, run_id: str) -> None:
        """Something tried before this study, for the sampler to learn from. It counts as no trial."""
        distributions = {axis.name: _distribution(axis) for axis in self._space.axes if axis.name in combination}
        self._study.add_trial(
            optuna.trial.create_trial(
                params=combination,
                distributions=distributions,
                value=value,
                user_attrs={ASIDE: f"{_KNOWN}run {run_id}", RUN: run_id},
            )
        )

    def run(
        self,
        objective: Objective,
        on_end: Callable[[list[Result]], None] = lambda results: None,
        may_begin: Callable[[], str | None] = lambda: None,
    ) -> str | None:
        """Try what is left, one trial after the other, telling `on_end` all results so far after each.

        A trial that raises is told as failed, with the reason, and the next one begins. Ctrl-C ends this; the trial it
        struck is taken up by the next call, like one whose process died. Where other processes have the last trials in
        hand this waits for them, to take up what they leave. Returns why it ended before the last trial, if it did:
        somebody asked for it, or what `may_begin` said.
        """
        if self._attribute(TOTAL) != self.total:
            self._study.set_user_attr(TOTAL, self.total)
        while True:
            if self.stopped:
                return STOPPED
            if (why_not := may_begin()) is not None:
                return why_not
            with self.alone():
                taken = self._take()
            if taken is not None:
                self._one(taken, objective)
                on_end(self.results())
            elif any(trial.state is TrialState.RUNNING for trial in self._trials()):
                time.sleep(min(1.0, self._beat_seconds))
            else:
                return None

    def _trials(self) -> list[FrozenTrial]:
        """All there are, as they are now; not to be changed."""
        return self._study.get_trials(deepcopy=False)

    def _take(self) -> optuna.trial.Trial | None:
        """The next trial, now this process's: one that another left, or a new one."""
        trials = self._trials()
        for left in trials:
            if left.state is TrialState.RUNNING and self._is_left(left):
                trial = optuna.trial.Trial(self._study, left._trial_id)
                self._suggest(trial)  # what its process may not have come to
                if self._lease(trial, left.user_attrs.get(ATTEMPT, 0) + 1, left.user_attrs.get(LEASE)):
                    return trial
        begun = sum(trial.state is not TrialState.WAITING and ASIDE not in trial.user_attrs for trial in trials)
        asked = None
        if begun < self.total:
            asked = self._ask() if self._every is None else self._ask_for(self._every[begun], trials)
        if asked is not None:
            self._lease(asked, 1, None)
        return asked

    def _is_left(self, trial: FrozenTrial) -> bool:
        lease: Lease | None = trial.user_attrs.get(LEASE)
        if lease is None:
            return True
        if not self._studies.shared or is_here(lease):
            # how one beside this one ended is to be known first
            beside = self._siblings.controller is not None and lease.get("watcher") == self._siblings.controller
            return is_gone(lease) and (not beside or self._siblings.death_of(lease["pid"]) is not None)
        return self._silences.is_silent(trial.number, (trial.user_attrs.get(BEAT), lease))

    def _lease(self, trial: optuna.trial.Trial, attempt: int, former: Lease | None) -> bool:
        """Make it this process's; False when it has had its last attempt."""
        death = self._siblings.death_of(former["pid"]) if former else None
        if attempt > 1 + self._search.retries or (death and death.final):
            how = f", the last time by {death.reason}" if death else ""
            times = f"its process died {attempt - 1} times{how} (sweep.retries={self._search.retries})"
            trial.set_user_attr(FAILURE, death.reason if death and death.final else times)
            self._tell(trial, None, TrialState.FAIL)
            return False
        trial.set_user_attr(ATTEMPT, attempt)
        trial.set_user_attr(LEASE, own_lease(self._siblings.controller))
        return True

    def _ask_for(self, combination: Combination, trials: Sequence[FrozenTrial]) -> optuna.trial.Trial:
        """A certain combination. Waiting trials make each further one slower in a database, so there is one at most."""
        if not any(trial.state is TrialState.WAITING for trial in trials):  # else a killed process left it so
            self._study.enqueue_trial(combination)
        asked = self._study.ask()
        self._suggest(asked)
        return asked

    def _ask(self) -> optuna.trial.Trial | None:
        """A combination that was not tried before and is allowed; None when the sampler comes up with no other."""
        for _ in range(_PATIENCE):
            asked = self._study.ask()
            self._suggest(asked)
            if not self._space.allows(asked.params):
                asked.set_user_attr(ASIDE, "breaks a constraint")
                self._study.tell(asked, state=TrialState.FAIL)
                continue
            params = asked.params
            same = next((t for t in self._trials() if t.number < asked.number and _is_same(t, params)), None)
            if same is None:
                return asked
            asked.set_user_attr(ASIDE, f"same as {same.number}")  # the sampler learns of it, and it counts as no trial
            if same.state is TrialState.COMPLETE:
                self._study.tell(asked, same.value)
            else:
                self._study.tell(asked, state=TrialState.FAIL)
        return None

    def _suggest(self, trial: optuna.trial.Trial) -> None:
        """A value for each name that varies, the one it has if it has one."""
        for axis in self._space.axes:
            if not self._space.varies(axis, trial.params):
                continue
            if isinstance(axis, Axis):
                trial.suggest_categorical(axis.name, axis.values)
            elif axis.whole:
                trial.suggest_int(axis.name, int(axis.low), int(axis.high), log=axis.log)
            else:
                trial.suggest_float(axis.name, axis.low, axis.high, log=axis.log)

    def _one(self, asked: optuna.trial.Trial, objective: Objective) -> None:
        attempt, trial = int(asked.user_attrs[ATTEMPT]), self._handed_out(asked)
        beats: AbstractContextManager[None] = nullcontext()
        if self._studies.shared:
            beats = beating(lambda count: asked.set_user_attr(BEAT, count), self._beat_seconds)
        try:
            with beats:
                verdict = objective(trial)
        except KeyboardInterrupt:  # no fault of the trial's
            asked.set_user_attr(ATTEMPT, attempt - 1)
            asked.set_user_attr(LEASE, None)
            raise
        except Exception as error:  # whatever a trial dies of, the others go on
            asked.set_user_attr(FAILURE, reason(error))
            self._tell(asked, None, TrialState.FAIL)
            return
        if math.isnan(verdict.value):
            asked.set_user_attr(FAILURE, "its value is not a number")
            self._tell(asked, None, TrialState.FAIL)
        else:
            self._tell(asked, verdict.value, TrialState.PRUNED if verdict.pruned else TrialState.COMPLETE)

    def _handed_out(self, asked: optuna.trial.Trial) -> Trial:
        trials = self._trials()
        known = set(trials[asked.number].intermediate_values)  # updates that an earlier attempt reported
        place = sum(ASIDE not in trial.user_attrs for trial in trials[: asked.number + 1])

        def report(step: int, value: float) -> bool:
            with suppress(optuna.exceptions.StorageInternalError):  # a report is not worth a trial
                if step not in known:
                    asked.report(value, step)
                self._stop_asked = self.stopped
                return self._trials()[asked.number].user_attrs.get(STOP) is not None or asked.should_prune()
            return False

        def run(run_id: str) -> None:
            asked.set_user_attr(RUN, run_id)

        attempt, begun_as = int(asked.user_attrs[ATTEMPT]), asked.user_attrs.get(RUN)
        return Trial(asked.number, place, dict(asked.params), attempt, begun_as, report, lambda: self._stop_asked, run)

    def _tell(self, trial: optuna.trial.Trial, value: float | None, state: TrialState) -> None:
        """A storage that does not answer is waited for: what a trial came to is worth it.

        Raises:
            HarnessError: when it does not answer for long.
        """
        wait, until = 1.0, time.monotonic() + _STORAGE_PATIENCE_SECONDS
        while True:
            try:
                self._study.tell(trial, None if state is not TrialState.COMPLETE else value, state=state)
                return
            except optuna.exceptions.StorageInternalError as error:
                if time.monotonic() > until:
                    raise HarnessError(f"the study's storage does not answer: {reason(error)}") from error
                time.sleep(wait)
                wait = min(2 * wait, 30.0)


def best_results(results: Sequence[Result]) -> list[Result]:
    """Those that were tried to their end, the best first."""
    whole = [result for result in results if result.value is not None and not result.pruned]
    return sorted(whole, key=lambda result: (result.value, result.trial.number))


def _is_same(trial: FrozenTrial, params: Combination) -> bool:
    return trial.params == params and not str(trial.user_attrs.get(ASIDE, "")).startswith(_KNOWN)


def _distribution(axis: Axis | Range) -> BaseDistribution:
    if isinstance(axis, Axis):
        return CategoricalDistribution(axis.values)
    if axis.whole:
        return IntDistribution(int(axis.low), int(axis.high), log=axis.log)
    return FloatDistribution(axis.low, axis.high, log=axis.log)


def _result(place: int, told: FrozenTrial) -> Result:
    trial = Trial(told.number, place, dict(told.params), int(told.user_attrs.get(ATTEMPT, 1)))
    failure = told.user_attrs.get(FAILURE, "?") if told.state is TrialState.FAIL else None
    seconds = told.duration.total_seconds() if told.duration else 0.0
    pruned = told.state is TrialState.PRUNED
    return Result(trial, told.value, failure, pruned, told.user_attrs.get(RUN), seconds)
