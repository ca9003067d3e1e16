"""A study put right from what its runs say, where its own storage lost it. Knows nothing of where the runs are kept."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import optuna
from optuna.trial import FrozenTrial, TrialState, create_trial

from harness.config.axes import Combination, Space
from harness.sweeping.attributes import ASIDE, FAILURE, PARENT, RUN, SAID
from harness.sweeping.states import TrialStatus
from harness.sweeping.storage import Studies
from harness.sweeping.suggest import distributions, suggest
from harness.sweeping.trial import status_of


@dataclass(frozen=True, kw_only=True)
class Recovered:
    """A trial as its run has it. `value`, of one that is done, is to be made small; `reports`: by update."""

    number: int
    params: Combination
    status: TrialStatus
    run_id: str
    started: datetime
    ended: datetime | None = None
    value: float | None = None
    failure: str | None = None
    reports: dict[int, float] = field(default_factory=dict)


def has_begun(studies: Studies, name: str) -> bool:
    """Whether a study of that name has a run that stands for it, or a trial."""
    try:
        study = optuna.load_study(study_name=name, storage=studies.storage(name))
    except KeyError:  # there is none
        return False
    return PARENT in study.user_attrs or bool(study.get_trials(deepcopy=False))


def rebuild_study(
    studies: Studies, name: str, space: Space, parent: str | None, recovered: Sequence[Recovered], *, grid: bool
) -> int:
    """Bring a study to what its runs say; what it knows itself stays. The caller sees to it that nobody works on it.

    `parent`: the run that stands for it, if one does; `grid`: every combination is tried, in their order. What neither
    knows of is tried there, and counts as no trial elsewhere. Returns how many trials were put right.
    """
    study = optuna.create_study(
        study_name=name, storage=studies.storage(name), direction="minimize", load_if_exists=True
    )
    combinations = list(space.combinations()) if grid else None
    count = 0
    for each in sorted(recovered, key=lambda each: each.number):
        there = study.get_trials(deepcopy=False)
        for number in range(len(there), each.number):
            study.add_trial(_unknown(space, None if combinations is None else combinations[number]))
        if each.number >= len(there):
            study.add_trial(_frozen(space, each))
            count += 1
        elif not status_of(there[each.number]).has_ended:
            _complete(study, there[each.number], space, each)
            count += 1
    if parent is not None and study.user_attrs.get(PARENT) != parent:  # last: what is killed before is done again
        study.set_user_attr(SAID, space.said)
        study.set_user_attr(PARENT, parent)
    return count


_STATES = {
    TrialStatus.DONE: TrialState.COMPLETE,
    TrialStatus.PRUNED: TrialState.PRUNED,
    TrialStatus.FAILED: TrialState.FAIL,
    TrialStatus.RUNNING: TrialState.RUNNING,
}


def _unknown(space: Space, combination: Combination | None) -> FrozenTrial:
    if combination is None:
        return create_trial(state=TrialState.FAIL, user_attrs={ASIDE: "lost with the study"})
    return create_trial(state=TrialState.RUNNING, params=combination, distributions=distributions(space, combination))


def _frozen(space: Space, each: Recovered) -> FrozenTrial:
    """As a study has it. One that was left is anyone's: it has no lease."""
    trial = create_trial(
        state=_STATES[each.status],
        params=each.params,
        distributions=distributions(space, each.params),
        value=_value(each),
        intermediate_values=dict(each.reports),
        user_attrs=_attributes(each),
    )
    trial.datetime_start = each.started
    trial.datetime_complete = each.ended if each.status.has_ended else None
    return trial


def _value(each: Recovered) -> float | None:
    if each.status is TrialStatus.PRUNED:  # as Optuna has it
        return each.reports[max(each.reports)] if each.reports else None
    return each.value if each.status is TrialStatus.DONE else None


def _attributes(each: Recovered) -> dict[str, str]:
    return {RUN: each.run_id} | ({} if each.failure is None else {FAILURE: each.failure})


def _complete(study: optuna.Study, there: FrozenTrial, space: Space, each: Recovered) -> None:
    """What a study knows half of."""
    if there.state is TrialState.WAITING:
        study._storage.set_trial_state_values(there._trial_id, TrialState.RUNNING)
    trial = optuna.trial.Trial(study, there._trial_id)
    suggest(trial, space)
    for name, said in _attributes(each).items():
        trial.set_user_attr(name, said)
    for step in sorted(each.reports.keys() - there.intermediate_values.keys()):
        trial.report(each.reports[step], step)
    if each.status.has_ended:
        value = each.value if each.status is TrialStatus.DONE else None
        study.tell(trial, value, state=_STATES[each.status])
