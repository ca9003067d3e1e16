"""Which unfinished run to go on with, and what it left in its folder."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.config.schema import Config
from harness.errors import DamagedError, HarnessError
from harness.machine import blas
from harness.models.base import Base
from harness.run.identity import Parts, differences, identity_of, renewed
from harness.run.session import Session
from harness.tracking import run_folder
from harness.tracking.journal import Journal
from harness.tracking.reconcile import run_folders
from harness.tracking.run_state import RunState
from harness.tracking.store import Store, was_deleted
from harness.tuning.state import Course, load_state


@dataclass(frozen=True)
class Unfinished:
    """`course`: how far it came."""

    folder: Path
    course: Course


def find_unfinished(config: Config, session: Session, parts: Parts, *, sweep: str | None) -> Unfinished | None:
    """The run that train.resume means: the one named, or with auto the newest of the same identity, if any.

    A trial of a sweep goes on with the sweep's own run of the same identity. Of runs that are looked for, one whose
    state is damaged is passed over, and that is said.

    Raises:
        HarnessError: when the run named cannot be gone on with, and why.
    """
    wanted = config.train.resume if sweep is None else "auto"
    if wanted is False:
        return None
    store, base = session.store, session.base(config.model)
    if wanted != "auto":
        folder = (store.runs / wanted).resolve()
        _refuse_other(wanted, folder, store, parts, base)
        _warn_of_former(folder, session, base)
        return Unfinished(folder, load_state(folder / run_folder.STATE).course)
    for folder in _of_identity(config.name, store, parts, sweep, base):
        try:
            found = Unfinished(folder, load_state(folder / run_folder.STATE).course)
            _warn_of_former(folder, session, base)
            return found
        except DamagedError as error:
            session.display.say(f"warning: run {folder.name} is not gone on with: its {error.path.name} {error.why}")
    return None


def _warn_of_former(folder: Path, session: Session, base: Base) -> None:
    written = read_parts(folder)
    if written is not None and written.get("base") != base.revision:
        session.warn_once(
            f"run {folder.name} was begun when a base was known by a part of its bytes ({written['base']}): "
            f"it goes on with {base.path} as it is now, {base.revision}; if its weights were changed since, start anew"
        )


def _of_identity(experiment: str, store: Store, parts: Parts, sweep: str | None, base: Base) -> Iterator[Path]:
    """The folders of runs of one identity that have a state, the newest first."""
    for folder in reversed(run_folders(store)):
        written = read_parts(folder)
        if written is None or not (folder / run_folder.STATE).exists():
            continue
        if identity_of(renewed(written, base)) != identity_of(parts):
            continue
        journal = Journal(folder)
        if journal.begun is None or sweep not in (None, journal.begun["parent"]):
            continue
        if journal.begun["experiment"] == experiment and not was_deleted(store, journal.run_id):
            yield folder


def _refuse_other(run_id: str, folder: Path, store: Store, parts: Parts, base: Base) -> None:
    written = read_parts(folder)
    if written is None:
        raise HarnessError(f"train.resume={run_id} must have its folder here, but {store.runs} does not hold it")
    there = renewed(written, base)
    journal = Journal(folder)
    if journal.ended is RunState.FINISHED:
        raise HarnessError(
            f"train.resume={run_id} names a run that is finished; leave train.resume=false for a new one"
        )
    if was_deleted(store, journal.run_id):
        raise HarnessError(f"train.resume={run_id} names a run that was deleted in MLflow; restore it there first")
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


def read_parts(folder: Path) -> Parts | None:
    """What determined the weights of a folder's run (see identity.py); None where that is not there, or damaged."""
    try:
        parts = json.loads((folder / run_folder.PARTS).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return parts if isinstance(parts, dict) else None


def clean(folder: Path) -> None:
    """Remove what a process that was killed left half-written: its names begin with a dot."""
    for leftover in [*folder.glob(".*"), *folder.glob("adapters/.*")]:
        if leftover.is_dir():
            shutil.rmtree(leftover)
        elif leftover.name != run_folder.LOCK:
            leftover.unlink()
