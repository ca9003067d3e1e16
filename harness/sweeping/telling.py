"""What a trial came to, told to the storage. One that does not answer is waited for: it is worth that."""

import math
import time

import optuna
from optuna.trial import TrialState

from harness.errors import HarnessError, reason
from harness.sweeping.attributes import FAILURE
from harness.sweeping.trial import TrialEnd

_PATIENCE_SECONDS = 600.0
_LONGEST_WAIT_SECONDS = 30.0


def tell_end(study: optuna.Study, trial: optuna.trial.Trial, end: TrialEnd) -> None:
    """Raises: HarnessError when the storage does not answer for long."""
    if math.isnan(end.value):
        tell_failure(study, trial, "its value is not a number")
    elif end.pruned:
        _tell(study, trial, None, TrialState.PRUNED)
    else:
        _tell(study, trial, end.value, TrialState.COMPLETE)


def tell_failure(study: optuna.Study, trial: optuna.trial.Trial, why: str) -> None:
    """Raises: HarnessError when the storage does not answer for long."""
    trial.set_user_attr(FAILURE, why)
    _tell(study, trial, None, TrialState.FAIL)


def _tell(study: optuna.Study, trial: optuna.trial.Trial, value: float | None, state: TrialState) -> None:
    wait, until = 1.0, time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            study.tell(trial, value, state=state)
            return
        except optuna.exceptions.StorageInternalError as error:
            if time.monotonic() > until:
                raise HarnessError(f"the study's storage does not answer: {reason(error)}") from error
            time.sleep(wait)
            wait = min(2 * wait, _LONGEST_WAIT_SECONDS)
