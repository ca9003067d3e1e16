"""Which trial a process works on next, and what it is handed of it.

Knows nothing of what becomes of one.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress

import optuna
from optuna.trial import FrozenTrial, TrialState

from harness.config.axes import Combination, Space
from harness.errors import HarnessError
from harness.sweeping.again import begin_again, check_again, counts_as, standing
from harness.sweeping.attributes import AGAIN, ASIDE, ATTEMPT, RUN, STOP
from harness.sweeping.claims import Claims
from harness.sweeping.journal_file import DamagedStudyError
from harness.sweeping.suggest import ask_for, ask_for_new, suggest
from harness.sweeping.telling import tell_failure
from harness.sweeping.trial import Trial


class Dealer:
    """Takes trials for this process. Each call while no other process changes the study.

    `every`: all combinations in order, where all are tried; `total`: how many trials there will be, asked each time.
    """

    def __init__(
        self,
        study: optuna.Study,
        space: Space,
        claims: Claims,
        every: Sequence[Combination] | None,
        total: Callable[[], int],
    ) -> None:
        self._study, self._space, self._claims, self._every, self._total = study, space, claims, every, total

    def take(self) -> optuna.trial.Trial | None:
        """The next trial, now this process's: one that another left, or a new one."""
        trials = self._study.get_trials(deepcopy=False)
        for left in trials:
            is_left = left.state is TrialState.RUNNING and self._claims.is_left(left)
            if is_left and (trial := self._take_up(left)) is not None:
                return trial
        asked = self._ask(sum(t.state is not TrialState.WAITING and ASIDE not in t.user_attrs for t in trials))
        if asked is not None:
            self._claims.claim(asked)
        return asked

    def take_again(self, place: int) -> optuna.trial.Trial | None:
        """A certain trial, by its place; None when it was left and has had its last attempt.

        Raises:
            HarnessError: for one that is done, that somebody works on, or that there is not.
        """
        trials = standing(self._study.get_trials(deepcopy=False))
        if not 1 <= place <= len(trials):
            raise HarnessError(f"there are trials 1 to {len(trials)}, but got {place}")
        trial = trials[place - 1]
        left = trial.state is TrialState.RUNNING and self._claims.is_left(trial)
        check_again(trial, place, left=left)
        if left:
            return self._take_up(trial)
        again = begin_again(self._study, trial)
        self._claims.claim(again)
        return again

    def _take_up(self, left: FrozenTrial) -> optuna.trial.Trial | None:
        """What another left, now this process's; None when it has had its last attempt."""
        trial = optuna.trial.Trial(self._study, left._trial_id)
        suggest(trial, self._space)  # what its process may not have come to
        why_not = self._claims.claim(trial, left)
        if why_not is None:
            return trial
        tell_failure(self._study, trial, why_not)
        return None

    def _ask(self, begun: int) -> optuna.trial.Trial | None:
        """A new trial, where `begun` of them are less than there will be."""
        if begun >= self._total():
            return None
        if self._every is None:
            return ask_for_new(self._study, self._space)
        return ask_for(self._study, self._space, self._every[begun])


def handed_out(
    study: optuna.Study, asked: optuna.trial.Trial, stopped: Callable[[], bool], *, to_its_end: bool
) -> Trial:
    """What who tries it gets. `stopped`: whether the study is to be left; asked at each report.

    `to_its_end`: the pruner is not asked, nor is it for one that is tried again.
    """
    trials = study.get_trials(deepcopy=False)
    to_its_end = to_its_end or AGAIN in trials[asked.number].user_attrs
    stop_asked = False
    number = counts_as(trials[asked.number])
    known = set(trials[asked.number].intermediate_values)  # updates that an earlier attempt reported

    def report(step: int, value: float) -> bool:
        nonlocal stop_asked
        with suppress(optuna.exceptions.StorageInternalError, DamagedStudyError):  # a report is not worth a trial
            if step not in known:
                asked.report(value, step)
            stop_asked = stopped()
            stop = STOP in study.get_trials(deepcopy=False)[asked.number].user_attrs
            return stop or (not to_its_end and asked.should_prune())
        return False

    return Trial(
        number=number,
        place=sum(ASIDE not in trial.user_attrs for trial in trials[: number + 1]),
        params=dict(asked.params),
        attempt=int(asked.user_attrs[ATTEMPT]),
        begun_as=asked.user_attrs.get(RUN),
        report=report,
        stopped=lambda: stop_asked,
        run=lambda run_id: asked.set_user_attr(RUN, run_id),
    )
