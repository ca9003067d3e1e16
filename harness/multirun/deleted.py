"""A sweep that a person deleted in MLflow: it stops, it is settled, and only then does its command begin a new one.

Knows nothing of who told a run that it was deleted (see TrackedRun.deleted).
"""

from harness.errors import BusyError, DeletedError
from harness.multirun.context import SweepContext
from harness.sweeping.listing import ask_to_stop, find_study
from harness.sweeping.states import TrialStatus
from harness.sweeping.study import Study
from harness.tracking.journal import Journal
from harness.tracking.reconcile import reconcile
from harness.tracking.run_state import RunState
from harness.tracking.runs import TrackedRun

WAS_DELETED = "its sweep was deleted in MLflow"  # why a run is left


def deleted_error(study: Study) -> DeletedError:
    """What to say when it is found out in the middle."""
    return DeletedError(
        f"sweep {study.parent} was deleted in MLflow, with {len(study.results())} of {study.total} trials done; "
        "restore it there to go on with it, or type the command again for a new one"
    )


def settle_deleted(context: SweepContext, study: Study) -> None:
    """Close what was left of it.

    Raises:
        DeletedError: when somebody is still at work on it.
    """
    listed = find_study(context.studies, study.parent)
    if listed.workers:
        ask_to_stop(context.studies, listed, None)
        raise _at_work(study, ", ".join(listed.workers))
    journal = Journal(context.store.runs / listed.parent)
    if listed.counts[TrialStatus.RUNNING] or (journal.begun is not None and journal.ended is None):
        for _ in reconcile(context.store, listed.parent):
            pass
        _close(study, context, journal)


def _close(study: Study, context: SweepContext, journal: Journal) -> None:
    if journal.begun is None or journal.ended is not None:  # another machine has it, or has closed it
        return
    try:
        with TrackedRun.resume(context.store, journal.folder.resolve()) as left:
            left.finish(RunState.KILLED, "deleted in MLflow")
    except BusyError as error:
        raise _at_work(study, "another process") from error


def _at_work(study: Study, who: str) -> DeletedError:
    return DeletedError(
        f"sweep {study.parent} was deleted in MLflow, but {who} is at work on it until the next validation; "
        "type the command again then for a new one"
    )
