"""The study of a command: the same command finds the same one again. Knows nothing of what its trials do."""

import itertools
from dataclasses import replace

from harness.config.axes import Space
from harness.config.schema import SweepConfig
from harness.multirun.context import SweepContext
from harness.multirun.study_key import study_name
from harness.sweeping.study import Study
from harness.tracking.overview import was_deleted


def find_study(context: SweepContext) -> Study:
    """By all that determines its values; a new one if its run was deleted in MLflow, or if all its trials failed."""
    for again in itertools.count():
        name = study_name(context.config, context.space, [again, *context.beginning])
        study = _open(context, name, context.space, context.config.sweep)
        if study.parent is None or not (_is_lost(study) or was_deleted(context.store, study.parent)):
            return study
    raise AssertionError("there is always another name")


def study_of_repeats(context: SweepContext, name: str, space: Space) -> Study:
    """All of them, to their end."""
    search = replace(context.config.sweep, trials=None, sampler="grid", pruner="none", pruner_args={})
    return _open(context, name, space, search)


def _open(context: SweepContext, name: str, space: Space, search: SweepConfig) -> Study:
    return Study(name, context.studies, space, search, context.pace, siblings=context.worker.siblings)


def _is_lost(study: Study) -> bool:
    """Whether it has come to its end with nothing but failures."""
    results = study.results()
    return len(results) >= study.total and all(result.failure is not None for result in results)
