"""One run in MLflow, always by its id: MLflow's notion of a current run is not used.

What is told goes to the run's journal, and from there to MLflow by a thread: a store that does not answer
neither stops nor slows the run, and what it missed waits for harness.reconcile.
"""

import getpass
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

from harness.errors import HarnessError, reason
from harness.files import make_folder, only_process, write_json
from harness.tracking import run_folder
from harness.tracking.entry_kind import EntryKind
from harness.tracking.journal import Entry, Journal, Sent, now
from harness.tracking.mail import Mail
from harness.tracking.run_state import RunState
from harness.tracking.sender import create_run
from harness.tracking.store import Store
from harness.tracking.traces import Call

_LONGEST_PARAMETER = 6000  # characters; MLflow cuts what is longer


class TrackedRun:
    """Writes to one run. Enter it with `start` or `resume`, end it with `finish`."""

    def __init__(self, store: Store, folder: Path) -> None:
        self.store = store
        self.folder = folder
        self._journal = Journal(folder)
        self._known = self._journal.known_steps()
        self._mail = Mail(store, self._journal)

    @classmethod
    @contextmanager
    def start(
        cls,
        store: Store,
        experiment: str,
        *,
        name: str,
        tags: Mapping[str, str],
        parent: str | None = None,
    ) -> Iterator["TrackedRun"]:
        """A new run, this process's alone inside.

        A trial, which has a parent, begins even when the store does not answer; MLflow hears of it later.

        Raises:
            HarnessError: when the store does not answer and there is no parent.
        """
        begun: Entry = {
            "kind": EntryKind.BEGUN,
            "time": now(),
            "experiment": experiment,
            "name": name,
            "parent": parent,
        }
        begun |= {"tags": {key: str(value) for key, value in tags.items()}}
        begun |= {"user": getpass.getuser(), "store": store.uri}
        sent = _begun_in_mlflow(store, begun)
        if sent is None and parent is None:
            raise store.silent()
        folder = store.runs / (sent.run_id if sent and sent.run_id else uuid4().hex)
        make_folder(folder)
        with cls._alone(store, folder, begun, sent) as run:
            yield run

    @classmethod
    @contextmanager
    def resume(cls, store: Store, folder: Path) -> Iterator["TrackedRun"]:
        """A run that was interrupted: it runs again, and points that were told are not told twice.

        Raises:
            HarnessError: when another process works on it.
        """
        with cls._alone(store, folder, {"kind": EntryKind.REOPENED, "time": now()}, None) as run:
            yield run

    @classmethod
    @contextmanager
    def _alone(cls, store: Store, folder: Path, first: Entry, sent: Sent | None) -> Iterator["TrackedRun"]:
        """The run of a folder, this process's alone until all requests about it have ended."""
        lock = ExitStack()
        lock.enter_context(only_process(folder / run_folder.LOCK, f"run {folder.name}"))
        run = cls(store, folder)
        run._journal.add(first)
        if sent is not None:
            run._journal.mark_sent(sent)
        elif run._journal.sent.deleted:  # and restored since
            run._journal.mark_sent(replace(run._journal.sent, deleted=False))
        with run._mail.sending(lock):
            yield run

    @property
    def run_id(self) -> str:
        """MLflow's id; while MLflow has not heard of the run, the name of its folder."""
        return self._journal.run_id

    @property
    def trouble(self) -> str | None:
        """Why MLflow does not take what is told, while it does not."""
        return self._mail.trouble

    @property
    def deleted(self) -> bool:
        """Whether a person deleted the run in MLflow, or the sweep that it belongs to: it is to stop.

        Known some seconds later, and asked at no cost.
        """
        return self._mail.deleted

    @property
    def damage(self) -> list[str]:
        """What of its journal could not be read as it was taken up, a sentence each."""
        return self._journal.damage

    @property
    def checkpoints(self) -> set[int]:
        """The steps of the checkpoints that were told and not dropped."""
        return self._journal.checkpoints()

    def params(self, values: Mapping[str, Any]) -> None:
        self._journal.write(
            EntryKind.PARAMS, values={key: _text(value)[:_LONGEST_PARAMETER] for key, value in values.items()}
        )

    def tags(self, values: Mapping[str, str]) -> None:
        self._journal.write(EntryKind.TAGS, values=dict(values))

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        """Points at an update, each once: what was told first stands."""
        if new := self._new(step, values):
            self._journal.write(EntryKind.METRICS, step=step, values=new)

    def checkpoint_metrics(
        self, step: int, values: Mapping[str, float], dataset: tuple[str, str] | None = None
    ) -> None:
        """What was measured of the checkpoint of an update: it carries it, and so does the run.

        `dataset`: name and digest of the split that they were measured on, if it was one.
        """
        if new := self._new(step, values):
            self._journal.write(EntryKind.MEASURED, step=step, values=new, dataset=list(dataset or ()))

    def _new(self, step: int, values: Mapping[str, float]) -> dict[str, float]:
        new = {key: value for key, value in values.items() if step > self._known.get(key, -1)}
        self._known |= dict.fromkeys(new, step)
        return new

    def dataset(self, *, name: str, digest: str, path: Path, context: str) -> None:
        """An input of the run."""
        self._journal.write(EntryKind.DATASET, name=name, digest=digest, path=str(path), context=context)

    def artifact(self, file: str) -> None:
        """A file in the run's folder, by its name there."""
        self._journal.write(EntryKind.ARTIFACT, file=file, table=False)

    def table(self, rows: Sequence[Mapping[str, Any]], file: str) -> None:
        """Rows of equal keys. The same `file` in every run can be compared in the UI."""
        columns = list(rows[0]) if rows else []
        write_json(self.folder / file, {"columns": columns, "data": [[row[key] for key in columns] for row in rows]})
        self._journal.write(EntryKind.ARTIFACT, file=file, table=True)

    def traces(self, calls: Sequence[Call], file: str) -> None:
        """What was asked of a judge and what it replied, each as a trace of the run; kept in `file` too."""
        write_json(self.folder / file, [asdict(call) for call in calls])
        self._journal.write(EntryKind.TRACES, file=file)

    def checkpoint(
        self,
        file: str,
        *,
        configs: Sequence[str],
        step: int,
        scores: Mapping[str, float],
        dataset: tuple[str, str],
        params: Mapping[str, Any],
        tags: Mapping[str, str],
    ) -> None:
        """An adapter in the run's folder, with small files to go with it and its scores (see log_checkpoint)."""
        self._journal.write(
            EntryKind.CHECKPOINT,
            file=file,
            configs=list(configs),
            step=step,
            scores=dict(scores),
            dataset=list(dataset),
            params={key: _text(value) for key, value in params.items()},
            tags=dict(tags),
        )
        self._journal.sync()  # what MLflow is told lasts as long as the state that is gone on from

    def drop_checkpoint(self, step: int, file: str) -> None:
        self._journal.write(EntryKind.DROPPED, step=step, file=file)

    def finish(self, state: RunState, why: str | None = None) -> int:
        """End so. Returns how many entries still wait (see drain)."""
        self._journal.write(EntryKind.ENDED, status=state.status, reason=why and why[:5000])
        return self.drain()

    @property
    def unsent(self) -> str | None:
        """What to say of entries that have not reached MLflow; None when all have."""
        if not self._journal.waiting:
            return None
        return (
            f"{self._journal.waiting} entries of run {self.run_id} have not reached {self.store.uri} "
            f"({self.trouble or 'it does not answer'}); they are kept in its folder: send them with "
            "python -m harness.reconcile"
        )

    def drain(self) -> int:
        """Wait until all is sent: as long as the store answers, and less than a second where it does not.

        Returns how many entries still wait.
        """
        self._mail.drain()
        return self._journal.waiting


def _begun_in_mlflow(store: Store, begun: Entry) -> Sent | None:
    """Make the run; None when the store does not answer."""
    if not store.answers():
        return None
    try:
        experiment_id = store.experiment_id(begun["experiment"])
        return Sent(1, create_run(store, experiment_id, begun), experiment_id)
    except HarnessError:
        raise
    except Exception as error:  # SQLAlchemy's, requests' and MLflow's errors share no base class
        if begun["parent"] is None:
            raise HarnessError(f"{store.uri} cannot begin a run: {reason(error)}") from error
        return None


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.12g}"
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    return str(value)
