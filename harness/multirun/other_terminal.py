"""Sweeps from another terminal: seen, stopped, put right, gone on with by their own command (harness.sweep).

Knows nothing of how a sweep goes: it asks its study, and leaves word there.
"""

import os
import shlex
import sys
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.table import Table

from harness.config.objective import objective
from harness.config.schema import TrackingConfig
from harness.console.wide import print_wide
from harness.errors import HarnessError
from harness.multirun.one_trial import OneTrial
from harness.multirun.repair import repair_sweep
from harness.sweeping.attributes import RUN
from harness.sweeping.listing import Listed, ask_to_stop, check_can_be_tried_again, find_study, list_studies, trial_at
from harness.sweeping.states import TrialStatus
from harness.sweeping.storage import Studies, open_studies
from harness.sweeping.trial import status_of
from harness.tracking.store import Store, open_store

_LEFT = ("sweep", "state", "what varies")


def print_sweeps(tracking_uri: str | None, storage: str | None) -> None:
    """A table of those there are, the newest last."""
    _, studies = _opened(tracking_uri, storage)
    listed = list_studies(studies, lambda error: print(f"warning: {error}", file=sys.stderr))
    if not listed:
        print("no sweep yet; start one with python -m harness.train -m lora.rank=4,8,16")
        return
    table = Table(box=SIMPLE_HEAD)
    for label in ("sweep", "state", "trials", "pruned", "failed", "best", "at work", "what varies"):
        table.add_column(label, no_wrap=True, justify="left" if label in _LEFT else "right")
    for each in listed:
        table.add_row(
            each.parent,
            each.state,
            f"{each.ended} of {each.total}",
            str(each.counts[TrialStatus.PRUNED]),
            str(each.counts[TrialStatus.FAILED]),
            _best(each),
            ", ".join(each.workers) or "–",
            each.said,
        )
    print_wide(table)


def stop_sweep(sweep: str | None, place: int | None, tracking_uri: str | None, storage: str | None) -> None:
    """Leave word that it, or one trial of it, is to end at its next validation.

    Raises:
        HarnessError: when there is no such sweep or trial, or nobody at work on it.
    """
    _, studies = _opened(tracking_uri, storage)
    listed = find_study(studies, sweep)
    if place is None and not listed.workers:
        raise HarnessError(f"nobody is at work on sweep {listed.parent}: it is {listed.state}")
    ask_to_stop(studies, listed, place)
    what = f"sweep {listed.parent}" if place is None else f"trial {place} of sweep {listed.parent}"
    print(f"{what} is to end at the next validation")


def resume_sweep(sweep: str | None, place: int | None, tracking_uri: str | None, storage: str | None) -> None:
    """Become the sweep's own command, for all that is left or for one trial.

    Raises:
        HarnessError: when there is no such sweep, or a trial that cannot be tried again, or not here.
    """
    store, studies = _opened(tracking_uri, storage)
    listed = find_study(studies, sweep)
    if not listed.command:
        raise HarnessError(f"the command of sweep {listed.parent} is not known; type it again")
    environment: dict[str, str] = {}
    if place is not None:
        _check_trial(store, studies, listed, place)
        environment = OneTrial(listed.parent, place).environment
    if listed.folder and Path(listed.folder).is_dir():
        os.chdir(listed.folder)  # where relative paths were meant
    said = [f"{name}={value}" for name, value in environment.items()]
    print(" ".join([*said, shlex.join(["python", "-m", "harness.train", *listed.command])]), flush=True)
    words = [sys.executable, "-m", "harness.train", *listed.command]
    os.execve(sys.executable, words, os.environ | environment)


def repair_study(sweep: str, tracking_uri: str | None, storage: str | None) -> None:
    """See repair.py."""
    store, studies = _opened(tracking_uri, storage)
    repaired = repair_sweep(store, studies, sweep)
    for file in repaired.aside:
        print(f"what was damaged is kept as {file}")
    print(f"sweep {repaired.sweep_id}: {repaired.trials} trials put right from their runs; the same command goes on")


def _check_trial(store: Store, studies: Studies, listed: Listed, place: int) -> None:
    """Whether it can be tried again here: one that failed begins anew where its folder is not."""
    check_can_be_tried_again(studies, listed, place)
    trial = trial_at(studies, listed, place)
    run_id = trial.user_attrs.get(RUN)
    failed = status_of(trial) is TrialStatus.FAILED
    if run_id is not None and not failed and not (store.runs / run_id).exists():
        raise HarnessError(f"the folder of run {run_id} is not on this machine; go on where it was trained")


def _best(listed: Listed) -> str:
    if listed.best is None:
        return "–"
    if listed.metric is None:  # of a version that did not write it down
        return f"{listed.best:.4f}"
    chosen_by = objective(listed.metric)
    return f"{chosen_by.label} {chosen_by.shown(listed.best):.4f}"


def _opened(tracking_uri: str | None, storage: str | None) -> tuple[Store, Studies]:
    store = open_store(TrackingConfig(uri=tracking_uri))
    return store, open_studies(storage, store.studies)
