"""A search as an Optuna study: every combination of the axes, one after the other.

Knows nothing of training: it gets a function from one combination to its value.
"""

import itertools
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import optuna
from optuna.distributions import CategoricalDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from harness.config.axes import Axis, Value
from harness.errors import reason

Combination = dict[str, Value]


@dataclass(frozen=True)
class Trial:
    number: int
    params: Combination


@dataclass(frozen=True)
class Result:
    """`value` is None when the trial failed; then `failure` says why."""

    trial: Trial
    value: float | None
    failure: str | None


def combinations(axes: Sequence[Axis]) -> Iterator[Combination]:
    """All of them, the last axis varying fastest."""
    for values in itertools.product(*(axis.values for axis in axes)):
        yield dict(zip((axis.name for axis in axes), values, strict=True))


def run_study(
    name: str,
    folder: Path,
    axes: Sequence[Axis],
    objective: Callable[[Trial], float],
    *,
    settings: Mapping[str, str],
) -> list[Result]:
    """Try every combination once, minimizing; the study is kept in `folder`/<name>.journal.

    A trial that raises is told as failed, with the reason, and the next one begins. Ctrl-C ends the study.
    """
    optuna.logging.set_verbosity(logging.WARNING)
    folder.mkdir(parents=True, exist_ok=True)
    storage = JournalStorage(JournalFileBackend(str(folder / f"{name}.journal")))
    study = optuna.create_study(study_name=name, storage=storage, direction="minimize")
    for key, value in settings.items():
        study.set_user_attr(key, value)
    distributions = {axis.name: CategoricalDistribution(axis.values) for axis in axes}
    todo = list(combinations(axes))
    for combination in todo:
        study.enqueue_trial(combination)
    return [_one(study, distributions, objective) for _ in todo]


def _one(
    study: optuna.Study,
    distributions: Mapping[str, CategoricalDistribution],
    objective: Callable[[Trial], float],
) -> Result:
    asked = study.ask(dict(distributions))
    trial = Trial(asked.number, dict(asked.params))
    try:
        value = objective(trial)
    except Exception as error:  # whatever a trial dies of, the others go on
        failure = reason(error)
        asked.set_user_attr("failure", failure)
        study.tell(asked, state=TrialState.FAIL)
        return Result(trial, None, failure)
    except BaseException:
        study.tell(asked, state=TrialState.FAIL)
        raise
    study.tell(asked, value)
    return Result(trial, value, None)
