"""Which combination is tried next: the next of all there are, or what the sampler comes up with.

Knows nothing of who works on a trial and of what becomes of it.
"""

import math
from collections.abc import Mapping, Sequence

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState

from harness.config.axes import Axis, Combination, Range, Space
from harness.sweeping.attributes import ASIDE, KNOWN

_PATIENCE = 100  # suggestions of what was tried before or is not allowed, until the search is taken to be over


def suggest(trial: optuna.trial.Trial, space: Space) -> None:
    """A value for each name that varies, the one it has if it has one."""
    for axis in space.axes:
        if not space.varies(axis, trial.params):
            continue
        if isinstance(axis, Axis):
            trial.suggest_categorical(axis.name, axis.values)
        elif axis.whole:
            trial.suggest_int(axis.name, int(axis.low), int(axis.high), log=axis.log)
        else:
            trial.suggest_float(axis.name, axis.low, axis.high, log=axis.log)


def ask_for(study: optuna.Study, space: Space, combination: Combination) -> optuna.trial.Trial:
    """A certain combination. Waiting trials make each further one slower in a database, so there is one at most."""
    if not any(trial.state is TrialState.WAITING for trial in study.get_trials(deepcopy=False)):
        study.enqueue_trial(combination)  # else a killed process left it so
    asked = study.ask()
    suggest(asked, space)
    return asked


def ask_for_new(study: optuna.Study, space: Space) -> optuna.trial.Trial | None:
    """A combination that was not tried before and is allowed; None when the sampler comes up with no other.

    A sampler that learns from constraints is told by how much one is broken.
    """
    for _ in range(_PATIENCE):
        asked = study.ask()
        suggest(asked, space)
        if not space.allows(asked.params):
            asked.set_user_attr(ASIDE, "breaks a constraint")
            if learns_constraints(study):
                for text, by in space.broken_by(asked.params).items():
                    asked.set_constraint(text, by)
                study.tell(asked, math.inf)  # never the best, and it has no value that counts
            else:
                study.tell(asked, state=TrialState.FAIL)
            continue
        same = _same(asked, study.get_trials(deepcopy=False))
        if same is None:
            return asked
        asked.set_user_attr(ASIDE, f"same as {same.number}")  # the sampler learns of it, and it counts as no trial
        if same.state is TrialState.COMPLETE:
            study.tell(asked, same.value)
        else:
            study.tell(asked, state=TrialState.FAIL)
    return None


def learns_constraints(study: optuna.Study) -> bool:
    """Whether the sampler keeps away from what broke one: TPE does, CMA-ES warns, the others do not look."""
    return isinstance(study.sampler, optuna.samplers.TPESampler)


def add_broken(study: optuna.Study, number: int, value: float, by: Mapping[str, float]) -> None:
    """What a trial that failed by a requirement had come to, for a sampler that learns from it; it counts as none."""
    failed = study.get_trials(deepcopy=False)[number]
    study.add_trial(
        optuna.trial.create_trial(
            params=failed.params,
            distributions=failed.distributions,
            value=value,
            constraints=dict(by),
            user_attrs={ASIDE: f"what trial {number} came to"},
        )
    )


def distributions(space: Space, combination: Combination) -> dict[str, BaseDistribution]:
    """Of the names that a combination has, as `suggest` would draw them."""
    return {axis.name: _distribution(axis) for axis in space.axes if axis.name in combination}


def _distribution(axis: Axis | Range) -> BaseDistribution:
    if isinstance(axis, Axis):
        return CategoricalDistribution(axis.values)
    if axis.whole:
        return IntDistribution(int(axis.low), int(axis.high), log=axis.log)
    return FloatDistribution(axis.low, axis.high, log=axis.log)


def _same(asked: optuna.trial.Trial, trials: Sequence[FrozenTrial]) -> FrozenTrial | None:
    """An earlier trial of the same combination. What was known from before may well be tried."""
    params = asked.params
    for trial in trials:
        known = str(trial.user_attrs.get(ASIDE, "")).startswith(KNOWN)
        if trial.number < asked.number and trial.params == params and not known:
            return trial
    return None
