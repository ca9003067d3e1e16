"""Whose a trial is: the living process that works on it, or anyone's when that one is gone.

A death counts against a trial only where somebody lived to see it: what takes everything at once, such as a power cut,
is no fault of the trial.
"""

import optuna
from optuna.trial import FrozenTrial

from harness.sweeping.attributes import ATTEMPT, BEAT, LEASE
from harness.sweeping.lease import Lease, Silences, is_gone, is_here, own_lease, watcher_lives
from harness.sweeping.siblings import Siblings


class Claims:
    """One process's. `shared`: several machines work on the study, and one that is silent for so long is gone."""

    def __init__(self, siblings: Siblings, *, shared: bool, retries: int, silence_seconds: float) -> None:
        self._siblings, self._shared, self._retries = siblings, shared, retries
        self._silences = Silences(silence_seconds)

    def is_left(self, trial: FrozenTrial) -> bool:
        """Whether nobody works on a trial that is running."""
        lease: Lease | None = trial.user_attrs.get(LEASE)
        if lease is None:
            return True
        if not self._is_here(lease):
            return self._silences.is_silent(trial.number, (trial.user_attrs.get(BEAT), lease))
        if not is_gone(lease):
            return False
        beside = self._siblings.controller is not None and lease.get("watcher") == self._siblings.controller
        if not beside or self._siblings.death_of(lease["pid"]) is not None:
            return True
        return self._silences.is_silent(trial.number, lease)  # how it ended is to be known first, if it ever is

    def claim(self, trial: optuna.trial.Trial, left: FrozenTrial | None = None) -> str | None:
        """Make it this process's. `left`: as another left it. Returns why it has had its last attempt, if so."""
        former: Lease | None = None if left is None else left.user_attrs.get(LEASE)
        attempt = 1 if left is None else max(left.user_attrs.get(ATTEMPT, 1), 1)
        if left is not None and former is not None and self._was_seen(left, former):
            attempt += 1
            death = self._siblings.death_of(former["pid"])
            if death is not None and death.final:
                return death.reason
            if attempt > 1 + self._retries:
                how = f", the last time by {death.reason}" if death else ""
                return f"its process died {attempt - 1} times{how} (sweep.retries={self._retries})"
        trial.set_user_attr(ATTEMPT, attempt)
        trial.set_user_attr(LEASE, own_lease(self._siblings.controller))
        return None

    def _is_here(self, lease: Lease) -> bool:
        return not self._shared or is_here(lease)

    def _was_seen(self, trial: FrozenTrial, lease: Lease) -> bool:
        """Whether who watched over it lives on, or this process heard it as long as it was there."""
        if not self._is_here(lease):
            return self._silences.was_heard(trial.number)
        return self._siblings.death_of(lease["pid"]) is not None or watcher_lives(lease)


def give_back(trial: optuna.trial.Trial) -> None:
    """It was interrupted by no fault of its own: whoever comes goes on with it."""
    trial.set_user_attr(LEASE, None)
