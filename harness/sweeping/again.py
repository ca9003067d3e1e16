"""A trial that has ended, tried again on request. Optuna changes no ended trial, so that another one stands for it.

Knows nothing of how it is tried.
"""

from collections.abc import Sequence

import optuna
from optuna.trial import FrozenTrial, TrialState, create_trial

from harness.errors import HarnessError
from harness.sweeping.attributes import AGAIN, ASIDE, RUN


def standing(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """Those that count, by their places from 1, each as it was last tried."""
    last = {trial.user_attrs[AGAIN]: trial for trial in trials if AGAIN in trial.user_attrs}
    return [last.get(trial.number, trial) for trial in trials if ASIDE not in trial.user_attrs]


def counts_as(trial: FrozenTrial) -> int:
    """The number of the trial that this one stands for: its own, unless it tries another again."""
    return int(trial.user_attrs.get(AGAIN, trial.number))


def check_again(trial: FrozenTrial, place: int, *, left: bool) -> None:
    """`left`: nobody works on it, though it has not ended.

    Raises:
        HarnessError: for one that was tried to its end or that somebody works on.
    """
    if trial.state is TrialState.COMPLETE:
        raise HarnessError(f"trial {place} is done; only one that failed, was pruned or was left can be tried again")
    if not (left or trial.state.is_finished()):
        raise HarnessError(f"trial {place} is running; python -m harness.sweep stop --trial {place} ends it as pruned")


def begin_again(study: optuna.Study, ended: FrozenTrial) -> optuna.trial.Trial:
    """The same combination once more, with what it reported. To be called while no other process changes the study."""
    attributes = {ASIDE: "again", AGAIN: counts_as(ended)}
    attributes |= {RUN: ended.user_attrs[RUN]} if RUN in ended.user_attrs else {}
    study.add_trial(
        create_trial(
            state=TrialState.RUNNING,
            params=ended.params,
            distributions=ended.distributions,
            user_attrs=attributes,
            intermediate_values=ended.intermediate_values,
        )
    )
    return optuna.trial.Trial(study, study.get_trials(deepcopy=False)[-1]._trial_id)
