"""Settles what runs left behind: entries that MLflow has not got, and runs whose process is gone."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from harness.errors import BusyError, DeletedError, reason
from harness.files import only_process
from harness.tracking import run_folder
from harness.tracking.entry_kind import EntryKind
from harness.tracking.journal import Journal, now
from harness.tracking.run_state import RunState
from harness.tracking.sender import Sender
from harness.tracking.store import Store, was_deleted

_ATTEMPTS = 3
_BEGINNING_MILLISECONDS = 60_000  # a run has its folder long before that


@dataclass(frozen=True, kw_only=True)
class Settled:
    """One run. `closed`: it had not ended, its process is gone; `left`: why entries still wait.

    `damage`: what of its journal cannot be read, a sentence each.
    `deleted`: a person deleted it in MLflow, so that the rest is not sent; it is, once it is restored there.
    `overrides`: what it was started with, as one text.
    """

    run_id: str
    name: str
    folder: Path
    sent: int
    closed: bool
    left: str | None
    damage: list[str]
    deleted: bool
    overrides: str


def reconcile(store: Store, sweep_id: str | None = None) -> Iterator[Settled]:
    """Settle the runs of this store, or one sweep's trials, that no process works on.

    Those without anything left are passed over.
    """
    for folder in run_folders(store):
        journal = Journal(folder)
        if journal.begun is None and journal.damage and sweep_id is None:
            yield _lost(journal)
        if journal.begun is None or not _belongs(journal.begun["store"], store):
            continue
        if sweep_id not in (None, journal.begun["parent"]):
            continue
        if journal.ended and not journal.waiting and not _restored(store, journal):
            continue
        try:
            settled = settle(store, folder)
        except BusyError:
            continue
        yield settled


def settle(store: Store, folder: Path) -> Settled:
    """Close the run of a folder, whose process is gone, and send what MLflow has not got of it.

    Raises:
        BusyError: when a process works on it.
    """
    with only_process(folder / run_folder.LOCK, f"run {folder.name}"):
        return _settle(store, Journal(folder))  # it may have ended meanwhile


def close_orphans(store: Store) -> list[str]:
    """Close runs of a local database that have no folder: their process died as they began, or it was removed.

    Returns their ids. With a server, the folder may be on another machine.
    """
    if store.home is None:
        return []
    experiments = [experiment.experiment_id for experiment in store.client.search_experiments()]
    before = now() - _BEGINNING_MILLISECONDS
    where = f"attributes.status = 'RUNNING' and attributes.start_time < {before}"
    found = store.client.search_runs(experiments, where, max_results=1000)
    orphans = [run.info.run_id for run in found if not (store.runs / run.info.run_id).exists()]
    for run_id in orphans:
        store.client.set_tag(run_id, "failure", "its process was gone, and its folder (harness.reconcile)")
        store.client.set_terminated(run_id, RunState.KILLED)
    return orphans


def close_directly(
    store: Store, run_id: str, state: RunState, why: str | None, metrics: Mapping[str, float], step: int
) -> None:
    """End a run whose folder is on another machine, if that has not done it."""
    if store.client.get_run(run_id).info.status == state.status:
        return
    for name, value in metrics.items():
        store.client.log_metric(run_id, name, value, step=step)
    if why is not None:
        store.client.set_tag(run_id, "failure", why)
    store.client.set_terminated(run_id, state.status)


def _belongs(uri: str, store: Store) -> bool:
    """Whether a run that was told to `uri` is one of this store. A database may have been moved with its runs."""
    return uri.startswith("sqlite:") if store.home is not None else uri == store.uri


def run_folders(store: Store) -> list[Path]:
    """The folders of runs, the oldest first. Links by MLflow's ids lead to folders that are among them."""
    if not store.runs.is_dir():
        return []
    found = [each for each in store.runs.iterdir() if (each / run_folder.JOURNAL).exists() and not each.is_symlink()]
    return sorted(found, key=lambda folder: (folder / run_folder.JOURNAL).stat().st_mtime)


def _lost(journal: Journal) -> Settled:
    """A run whose beginning cannot be read: what it is, and whose, is not known."""
    return Settled(
        run_id=journal.run_id,
        name="?",
        folder=journal.folder,
        sent=0,
        closed=False,
        left=f"{journal.damage[0]}; put back a copy of the file, or remove the folder {journal.folder}",
        damage=journal.damage,
        deleted=False,
        overrides="",
    )


def _restored(store: Store, journal: Journal) -> bool:
    """Whether a run that had been deleted is there again."""
    run_id = journal.sent.run_id
    return journal.sent.deleted and run_id is not None and not was_deleted(store, run_id, purged=True)


def _settle(store: Store, journal: Journal) -> Settled:
    if _restored(store, journal):
        journal.mark_sent(replace(journal.sent, deleted=False))
    closed = journal.ended is None
    if closed:
        last = int(journal.entries[-1]["time"])
        journal.write(
            EntryKind.ENDED, at=last, status=RunState.KILLED, reason="its process was gone (harness.reconcile)"
        )
    before, left = journal.sent.count, None
    sender = Sender(store, journal)
    for attempt in range(_ATTEMPTS):
        time.sleep(attempt)  # a server that hung may only now take what a former process had sent
        try:
            while journal.waiting:
                sender.send_next()
            left = None
            break
        except DeletedError:
            left = None
            break
        except Exception as error:  # SQLAlchemy's, requests' and MLflow's errors share no base class
            left = reason(error)
    return Settled(
        run_id=journal.run_id,
        name=journal.entries[0]["name"],
        folder=journal.folder,
        sent=journal.sent.count - before,
        closed=closed,
        left=left,
        damage=journal.damage,
        deleted=journal.sent.deleted,
        overrides=journal.tag("overrides"),
    )
