"""What studies there are, and a word to those at work on one. Knows nothing of what is searched."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import optuna
from optuna.trial import FrozenTrial, TrialState

from harness.errors import HarnessError
from harness.sweeping.again import check_again, standing
from harness.sweeping.attributes import COMMAND, FOLDER, LEASE, METRIC, PARENT, SAID, STOP, TOTAL
from harness.sweeping.journal_file import DamagedStudyError
from harness.sweeping.lease import is_gone, is_here
from harness.sweeping.states import StudyStatus, TrialStatus
from harness.sweeping.storage import Studies
from harness.sweeping.trial import status_of


@dataclass(frozen=True)
class Listed:
    """`said`: what varies; `best`: its lowest value, of `metric`, or less that where more is better.

    `workers`: host and process id of those at work.
    """

    name: str
    parent: str
    state: StudyStatus
    total: int
    counts: dict[TrialStatus, int]
    best: float | None
    metric: str | None
    workers: list[str]
    said: str
    command: list[str]
    folder: str | None

    @property
    def ended(self) -> int:
        return sum(count for status, count in self.counts.items() if status.has_ended)


def list_studies(studies: Studies, damaged: Callable[[DamagedStudyError], object]) -> list[Listed]:
    """Those with a run that stands for them, the newest last. One that cannot be read costs only itself."""
    listed, names = [], studies.names()
    for name in names:
        try:
            each = _listed(studies, name, [other for other in names if other.startswith(f"{name}-")])
        except DamagedStudyError as error:
            damaged(error)
        else:
            listed += [] if each is None else [each]
    return listed


def find_study(studies: Studies, sweep_id: str | None) -> Listed:
    """By the beginning of the sweep's id; None: the newest.

    Raises:
        HarnessError: when there is none, or more than one, or it may be one that is damaged.
    """
    damaged: list[DamagedStudyError] = []
    known = list_studies(studies, damaged.append)
    found = [each for each in known if each.parent.startswith(sweep_id or "")]
    if damaged and (not found or (sweep_id is None and damaged[-1].study == studies.names()[-1])):
        raise damaged[-1]
    if not found:
        there = "; python -m harness.sweep list shows those that are" if known else "; there is none yet"
        raise HarnessError(f"no sweep{f' {sweep_id}' if sweep_id else ''} is known here{there}")
    if sweep_id and len(found) > 1:
        raise HarnessError(f"{sweep_id} begins the ids of {len(found)} sweeps; type more of it")
    return found[-1]


def ask_to_stop(studies: Studies, listed: Listed, place: int | None) -> None:
    """A trial, by its place, is to end as pruned at its next report; None: all at work are to leave at theirs.

    Raises:
        HarnessError: for a trial that is not running.
    """
    study = _load(studies, listed.name)
    if place is None:
        study.set_user_attr(STOP, time.time())
        return
    trial = trial_at(studies, listed, place)
    if trial.state is not TrialState.RUNNING:
        raise HarnessError(f"trial {place} of {listed.parent} is {status_of(trial)}; only one that runs can be stopped")
    study._storage.set_trial_user_attr(trial._trial_id, STOP, time.time())


def check_can_be_tried_again(studies: Studies, listed: Listed, place: int) -> None:
    """Raises: HarnessError for a trial that is done, that somebody works on, or that there is not."""
    trial = trial_at(studies, listed, place)
    check_again(trial, place, left=trial.state is TrialState.RUNNING and _worker(trial, studies.shared) is None)


def trial_at(studies: Studies, listed: Listed, place: int) -> FrozenTrial:
    trials = counted(_load(studies, listed.name))
    if not 1 <= place <= len(trials):
        raise HarnessError(f"sweep {listed.parent} has trials 1 to {len(trials)}, but got {place}")
    return trials[place - 1]


def counted(study: optuna.Study) -> list[FrozenTrial]:
    """The trials but those that count as none, each as it was last tried."""
    return standing(study.get_trials(deepcopy=False))


def _load(studies: Studies, name: str) -> optuna.Study:
    return optuna.load_study(study_name=name, storage=studies.storage(name))


def _listed(studies: Studies, name: str, parts: Sequence[str]) -> Listed | None:
    """`parts`: the names of studies that belong to it, such as that of its repeats."""
    try:
        study = _load(studies, name)
    except KeyError:  # its process was killed before it had made it
        return None
    attributes, trials = study.user_attrs, counted(study)
    if PARENT not in attributes:
        return None
    counts = {status: sum(status_of(trial) is status for trial in trials) for status in TrialStatus}
    running = [trial for trial in trials if trial.state is TrialState.RUNNING]
    running_parts = [trial for part in parts for trial in _running(studies, part)]
    workers = [who for trial in [*running, *running_parts] if (who := _worker(trial, studies.shared))]
    values = [trial.value for trial in trials if trial.state is TrialState.COMPLETE and trial.value is not None]
    total = int(attributes.get(TOTAL, len(trials)))
    done = sum(status_of(trial).has_ended for trial in trials) >= total and not running_parts
    return Listed(
        name=name,
        parent=attributes[PARENT],
        state=_status(stop_asked=bool(attributes.get(STOP)), at_work=bool(workers), done=done),
        total=total,
        counts=counts,
        best=min(values, default=None),
        metric=attributes.get(METRIC),
        workers=workers,
        said=attributes.get(SAID, ""),
        command=list(attributes.get(COMMAND, [])),
        folder=attributes.get(FOLDER),
    )


def _running(studies: Studies, name: str) -> list[FrozenTrial]:
    try:
        trials = counted(_load(studies, name))
    except KeyError:  # its process was killed before it had made it
        return []
    return [trial for trial in trials if trial.state is TrialState.RUNNING]


def _status(*, stop_asked: bool, at_work: bool, done: bool) -> StudyStatus:
    if at_work:
        return StudyStatus.STOPPING if stop_asked else StudyStatus.RUNNING
    if done:
        return StudyStatus.DONE
    return StudyStatus.STOPPED if stop_asked else StudyStatus.INTERRUPTED


def _worker(trial: FrozenTrial, shared: bool) -> str | None:
    """Who works on it, if anybody does as far as can be told from here."""
    lease = trial.user_attrs.get(LEASE)
    if lease is None or ((not shared or is_here(lease)) and is_gone(lease)):
        return None
    return f"{lease['host']}:{lease['pid']}"
