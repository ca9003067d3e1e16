"""Which unfinished run to go on with, and what it left in its folder."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from harness.config.schema import Config
from harness.errors import HarnessError
from harness.machine import blas
from harness.run.identity import Parts, differences, identity_of
from harness.tracking import run_folder
from harness.tracking.journal import Journal
from harness.tracking.overview import was_deleted
from harness.tracking.reconcile import run_folders
from harness.tracking.store import Store
from harness.tuning.state import Course, LoopState, load_state


@dataclass(frozen=True)
class Unfinished:
    """`course`: how far it came."""

    folder: Path
    course: Course

    def state(self) -> LoopState:
        """What to go on from. Read when it is needed: it is three times the adapter."""
        return load_state(self.folder / run_folder.STATE)


def find_unfinished(config: Config, store: Store, parts: Parts, sweep: str | None) -> Unfinished | None:
    """The run that train.resume means: the one named, or with auto the newest of the same identity, if any.

    A trial of a sweep goes on with the sweep's own run of the same identity.

    Raises:
        HarnessError: when the run named cannot be gone on with, and why.
    """
    wanted = config.train.resume if sweep is None else "auto"
    if wanted is False:
        return None
    if wanted == "auto":
        folder = _newest(config.name, store, parts, sweep)
        if folder is None:
            return None
    else:
        folder = (store.runs / wanted).resolve()
        _refuse_other(wanted, folder, store, parts)
    return Unfinished(folder, load_state(folder / run_folder.STATE).course)


def _newest(experiment: str, store: Store, parts: Parts, sweep: str | None) -> Path | None:
    for folder in reversed(run_folders(store)):
        if not (folder / run_folder.STATE).exists() or identity_of(read_parts(folder)) != identity_of(parts):
            continue
        journal = Journal(folder)
        if journal.begun is None or sweep not in (None, journal.begun["parent"]):
            continue
        if journal.begun["experiment"] == experiment and not was_deleted(store, journal.run_id):
            return folder
    return None


def _refuse_other(run_id: str, folder: Path, store: Store, parts: Parts) -> None:
    if not (folder / run_folder.PARTS).exists():
        raise HarnessError(f"train.resume={run_id} must have its folder here, but {store.runs} does not hold it")
    journal = Journal(folder)
    if journal.ended == "FINISHED":
        raise HarnessError(
            f"train.resume={run_id} names a run that is finished; leave train.resume=false for a new one"
        )
    if was_deleted(store, journal.run_id):
        raise HarnessError(f"train.resume={run_id} names a run that was deleted in MLflow; restore it there first")
    there = read_parts(folder)
    if identity_of(there) != identity_of(parts):
        raise HarnessError(f"train.resume={run_id} is another run: {differences(there, parts)}")
    if not (folder / run_folder.STATE).exists():
        raise HarnessError(f"train.resume={run_id} was stopped before its first checkpoint; start it anew")


def other_blas(folder: Path) -> tuple[str, str] | None:
    """Whose matrix products the run in `folder` used last, and whose it uses now, where these differ.

    Then it ends with other last digits than without the interruption: an identity holds on one machine.
    """
    was, now = Journal(folder).tag("device.blas").rpartition(", ")[2], str(blas.load().kind)
    return None if was in ("", now) else (was, now)


def read_parts(folder: Path) -> Parts:
    """What determined the weights of a folder's run (see identity.py)."""
    return dict(json.loads((folder / run_folder.PARTS).read_text("utf-8")))


def clean(folder: Path) -> None:
    """Remove what a process that was killed left half-written: its names begin with a dot."""
    for leftover in [*folder.glob(".*"), *folder.glob("adapters/.*")]:
        if leftover.is_dir():
            shutil.rmtree(leftover)
        elif leftover.name != run_folder.LOCK:
            leftover.unlink()
