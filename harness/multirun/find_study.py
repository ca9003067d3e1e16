"""The study of a command: the same command finds the same one again. Knows nothing of what its trials do."""

import itertools
from collections.abc import Iterator
from dataclasses import replace

from harness.config.axes import Space
from harness.config.schema import SweepConfig
from harness.errors import HarnessError
from harness.multirun.context import SweepContext
from harness.multirun.deleted import deleted_error, settle_deleted
from harness.multirun.repair import rebuild_if_gone, rebuild_repeats_if_gone
from harness.multirun.study_key import study_name
from harness.sweeping.study import Study, open_study
from harness.tracking.store import was_deleted


def find_study(context: SweepContext) -> Study:
    """By all that determines its values; a new one if its run was deleted in MLflow, or if all its trials failed.

    Raises:
        DeletedError: when somebody is at work on one that was deleted.
        HarnessError: when one trial of a certain sweep is wanted, and the command means another sweep by now.
    """
    if context.worker.only is not None:
        return _certain_study(context, context.worker.only.sweep_id)
    deleted = None
    for study in _studies(context):
        if study.parent is None:
            if deleted is not None and not context.worker.is_new:  # it was to help with that one
                raise deleted_error(deleted)
            return study
        if was_deleted(context.store, study.parent):
            deleted = study
            if context.worker.is_new:
                settle_deleted(context, study)
        elif not _is_lost(study):
            return study
    raise AssertionError("there is always another")


def _certain_study(context: SweepContext, sweep_id: str) -> Study:
    for study in _studies(context):
        if study.parent == sweep_id:
            if was_deleted(context.store, sweep_id):
                raise deleted_error(study)
            return study
        if study.parent is None:
            break
    raise HarnessError(
        f"the command of sweep {sweep_id} makes another sweep by now: its data, base or adapter to start from has "
        "changed; put that back, or start a new one"
    )


def _studies(context: SweepContext) -> Iterator[Study]:
    """Those that the command may mean, the last of them not begun yet."""
    for again in itertools.count():
        name = study_name(context.config, context.space, [again, *context.beginning])
        if (sweep_id := rebuild_if_gone(context, name)) is not None:
            context.display.say(f"the study of sweep {sweep_id} was gone: it is rebuilt from its runs")
        yield _open(context, name, context.space, context.config.sweep)


def study_of_repeats(context: SweepContext, study: Study, name: str, space: Space, sweep_id: str) -> Study:
    """All of them, to their end, of `study`, with which they are stopped.

    `space`: which of the sweep's trials, by their numbers, with which seed.
    """
    name = f"{study.name}-{name}"
    rebuild_repeats_if_gone(context, name, space, sweep_id)
    search = replace(context.config.sweep, trials=None, sampler="grid", pruner="none", pruner_args={})
    return _open(context, name, space, search, part_of=study)


def _open(context: SweepContext, name: str, space: Space, search: SweepConfig, part_of: Study | None = None) -> Study:
    siblings = context.worker.siblings
    return open_study(name, context.studies, space, search, context.pace, siblings=siblings, part_of=part_of)


def _is_lost(study: Study) -> bool:
    """Whether it has come to its end with nothing but failures."""
    results = study.results()
    return len(results) >= study.total and all(result.failure is not None for result in results)
