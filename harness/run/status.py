"""However a run ends, its status and its reason say so: in its folder, in MLflow, on the terminal."""

import shlex
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress

from harness.console.interrupt import requests_collected, told
from harness.errors import DeletedError, HarnessError, LostError, WriteError, reason
from harness.run.context import RunContext
from harness.run.log import Event
from harness.tracking import run_folder
from harness.tracking.run_state import STATE, RunState
from harness.tuning.loop import Outcome


@contextmanager
def status_kept(context: RunContext) -> Iterator[None]:
    """Whatever the phases inside end with is written down, and goes on.

    Raises:
        DeletedError: when the run was left because a person deleted it in MLflow.
    """
    try:
        yield
    except (KeyboardInterrupt, DeletedError) as error:
        if context.run.deleted:
            _close(context, RunState.KILLED, "deleted in MLflow")
            raise _deleted(context) from error
        why = told(error).why if isinstance(error, KeyboardInterrupt) else reason(error)
        _close(context, RunState.KILLED, why)
        _say_how_to_resume(context)
        raise
    except BaseException as error:
        with suppress(WriteError):  # a full disk may not take this either; harness.reconcile closes the run then
            if not isinstance(error, HarnessError):  # a fault of ours: a sweep goes on, so it is kept here
                context.log.write(Event.TRACEBACK, text=traceback.format_exc())
            # mlx.launch then ends all: what its signal would interrupt is this very record
            with requests_collected() if isinstance(error, LostError) else nullcontext():
                _close(context, RunState.FAILED, reason(error))
        if isinstance(error, (WriteError, LostError)):
            _say_how_to_resume(context)
        raise


def why_deleted(context: RunContext) -> str | None:
    """Why the run is to be left, when a person deleted it in MLflow."""
    return "deleted in MLflow" if context.run.deleted else None


def check_not_deleted(context: RunContext) -> None:
    """Asked between phases; the training loop asks after each update.

    Raises:
        DeletedError: when a person deleted the run in MLflow.
    """
    if context.run.deleted:
        raise _deleted(context)


def _deleted(context: RunContext) -> DeletedError:
    run_id = context.run.run_id
    step = "start it anew" if context.place.sweep is None else "the sweep goes on without it"
    if (context.folder / run_folder.STATE).exists() and context.place.sweep is None:
        step = f"restore it there, then go on with train.resume={run_id}"
    return DeletedError(f"run {run_id} was deleted in MLflow, so it was stopped; {step}")


def end(context: RunContext, outcome: Outcome) -> None:
    """The status of a run that came to its end, or was pruned."""
    if outcome.pruned:
        _close(context, RunState.PRUNED, f"pruned after update {outcome.updates}")
    else:
        _close(context, RunState.FINISHED)


def _close(context: RunContext, state: RunState, why: str | None = None) -> None:
    run = context.run
    if why is not None:
        context.log.write(Event.ENDED, status=state.status, reason=why)
    run.tags({STATE: state.tag})
    run.finish(state, why)
    if run.unsent is not None:
        context.display.say(f"warning: {run.unsent}")


def _say_how_to_resume(context: RunContext) -> None:
    """The command that goes on with a single run; a trial is gone on with by its sweep."""
    if context.place.sweep is not None:
        return
    run_id = context.run.run_id
    if not (context.folder / run_folder.STATE).exists():
        context.display.say(f"stopped before the first checkpoint of run {run_id}: nothing to go on from")
        return
    command = shlex.join(["python", "-m", "harness.train", *context.place.typed, f"train.resume={run_id}"])
    how = "" if context.session.group.size == 1 else ", under mlx.launch as before or alone"
    context.display.say(f"go on with{how}: {command}")
