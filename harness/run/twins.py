"""Runs that would end in the same bytes: one that another process trains is said, one whose process is gone is closed.

Only of the same experiment, and for a trial of its sweep: the same under another name is meant to be trained again.
"""

from collections.abc import Iterator
from pathlib import Path

from harness.config.schema import Config
from harness.errors import BusyError
from harness.files import holder
from harness.run.identity import Parts, identity_of
from harness.run.inputs import Inputs
from harness.run.resume import Unfinished, read_parts
from harness.run.session import Session
from harness.tracking import run_folder
from harness.tracking.journal import Journal
from harness.tracking.reconcile import run_folders, settle
from harness.tracking.store import Store


def settle_twins(
    config: Config, inputs: Inputs, session: Session, *, sweep: str | None, resumed: Unfinished | None
) -> None:
    """Close the twins of a run that is about to start whose process is gone. `resumed`: what it goes on with.

    Raises:
        BusyError: when a single run is being trained by another process, unless the run to go on with was named.
    """
    for folder in _unended(config.name, session.store, inputs.parts, sweep):
        if resumed is not None and folder == resumed.folder:
            continue
        try:
            settled = settle(session.store, folder)
        except BusyError as error:
            if sweep is None and resumed is None:
                raise BusyError(
                    f"process {holder(folder / run_folder.LOCK)} is training the very same (name={config.name}, run "
                    f"{Journal(folder).run_id}); wait for it, or stop it and go on with train.resume=auto, or train it "
                    "twice under another name=…"
                ) from error
            continue
        session.display.say(f"run {settled.run_id}, the same as this one, is closed: its process was gone")


def _unended(experiment: str, store: Store, parts: Parts, sweep: str | None) -> Iterator[Path]:
    """The folders of runs of this identity that have not said how they ended."""
    identity = identity_of(parts)
    for folder in run_folders(store):
        written = read_parts(folder)
        if written is not None and identity_of(written) != identity:
            continue
        journal = Journal(folder)
        if journal.begun is None or journal.ended is not None:
            continue
        told = journal.begun["tags"].get("identity")
        if told == identity and journal.begun["experiment"] == experiment and journal.begun["parent"] == sweep:
            yield folder
