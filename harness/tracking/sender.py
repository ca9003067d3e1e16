"""Tells MLflow what a journal holds, in order, each entry so that telling it twice does no harm."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from itertools import takewhile
from pathlib import Path
from typing import Any

from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag
from mlflow.utils.mlflow_tags import MLFLOW_LOGGED_ARTIFACTS, MLFLOW_PARENT_RUN_ID, MLFLOW_SOURCE_NAME, MLFLOW_USER

from harness.errors import DeletedError
from harness.files import replace_link
from harness.tracking.checkpoints import drop_checkpoint, find_checkpoint, log_checkpoint
from harness.tracking.entry_kind import EntryKind
from harness.tracking.journal import Entry, Journal, Sent
from harness.tracking.registry import promoted_models
from harness.tracking.run_state import STATE, RunState
from harness.tracking.store import Store, is_known, was_deleted
from harness.tracking.traces import log_traces

_POINTS_A_CALL = 1000  # MLflow's limit
_PARAMS_A_CALL = 100
DAMAGE = "damage"  # which entries of its journal could not be read, as a tag of the run
_FOLDER_TAG = "harness.folder"  # the run's folder, where MLflow heard of the run only later


class Sender:
    """Sends one journal. Not for two threads at once."""

    def __init__(self, store: Store, journal: Journal) -> None:
        self._store, self._journal = store, journal

    def send_next(self) -> None:
        """Send the next entry, or neighbouring ones that fit in a call, and mark them.

        Raises:
            DeletedError: when a person deleted the run in MLflow; all else that raises is MLflow's.
        """
        try:
            self._send_next()
        except Exception:  # SQLAlchemy's, requests' and MLflow's errors share no base class
            self.look()
            raise

    def look(self) -> None:
        """Ask whether MLflow still has the run, and mark it where it does not.

        Raises:
            DeletedError: when a person deleted it.
        """
        run_id = self._journal.sent.run_id
        if run_id is None or not was_deleted(self._store, run_id, purged=True):
            return
        self._journal.mark_sent(replace(self._journal.sent, deleted=True))
        raise DeletedError(f"run {run_id} was deleted in MLflow; restore it there to go on with it")

    def _send_next(self) -> None:
        sent = self._journal.sent
        entry = self._journal.entries[sent.count]
        if entry["kind"] == EntryKind.BEGUN:
            self._journal.mark_sent(self._begin(entry))
            return
        done = 1
        if entry["kind"] == EntryKind.METRICS:
            done = self._metrics(sent.count)
        else:
            _KINDS[entry["kind"]](self, entry)
        self._journal.mark_sent(replace(sent, count=sent.count + done))

    @property
    def _run_id(self) -> str:
        assert self._journal.sent.run_id is not None, "the first entry begins the run"
        return self._journal.sent.run_id

    @property
    def _experiment_id(self) -> str:
        assert self._journal.sent.experiment_id is not None, "the first entry begins the run"
        return self._journal.sent.experiment_id

    def _begin(self, entry: Entry) -> Sent:
        """Find the run, if an earlier attempt made it, or make it; and let its folder be found by its id."""
        client, folder = self._store.client, self._journal.folder
        experiment_id = self._store.experiment_id(entry["experiment"])
        if is_known(self._store, folder.name):  # what was sent could not be read
            return Sent(1, folder.name, experiment_id)
        found = client.search_runs([experiment_id], f"tags.`{_FOLDER_TAG}` = '{folder.name}'", max_results=1)
        if found:
            run_id = found[0].info.run_id
        else:
            run_id = create_run(
                self._store, experiment_id, entry | {"tags": entry["tags"] | {_FOLDER_TAG: folder.name}}
            )
        replace_link(folder.parent / run_id, folder.name)
        return Sent(1, run_id, experiment_id)

    def _metrics(self, start: int) -> int:
        """Points of neighbouring entries in one call; returns how many entries."""
        entries = list(takewhile(lambda entry: entry["kind"] == EntryKind.METRICS, self._journal.entries[start:]))
        points: list[Metric] = []
        done = 0
        for entry in entries:
            if points and len(points) + len(entry["values"]) > _POINTS_A_CALL:
                break
            points += [Metric(key, value, entry["time"], entry["step"]) for key, value in entry["values"].items()]
            done += 1
        self._store.client.log_batch(self._run_id, metrics=points)
        return done

    def _params(self, entry: Entry) -> None:
        params = [Param(key, value) for key, value in entry["values"].items()]
        for start in range(0, len(params), _PARAMS_A_CALL):
            self._store.client.log_batch(self._run_id, params=params[start : start + _PARAMS_A_CALL])

    def _tags(self, entry: Entry) -> None:
        self._store.client.log_batch(self._run_id, tags=[RunTag(key, value) for key, value in entry["values"].items()])

    def _dataset(self, entry: Entry) -> None:
        # with our own digest: MLflow's ignores columns that hold lists
        dataset = Dataset(entry["name"], entry["digest"], "local", json.dumps({"uri": entry["path"]}))
        tag = InputTag("mlflow.data.context", entry["context"])
        self._store.client.log_inputs(self._run_id, [DatasetInput(dataset, [tag])])

    def _artifact(self, entry: Entry) -> None:
        file = self._journal.folder / entry["file"]
        if not file.exists():  # a resumed run may have removed it to write it anew, with an entry of its own
            return
        self._store.client.log_artifact(self._run_id, str(file))
        if entry["table"]:  # MLflow's page compares the tables that this tag names
            told = self._store.client.get_run(self._run_id).data.tags.get(MLFLOW_LOGGED_ARTIFACTS, "[]")
            tables = [each for each in json.loads(told) if each["path"] != file.name]
            tables.append({"path": file.name, "type": "table"})
            self._store.client.set_tag(self._run_id, MLFLOW_LOGGED_ARTIFACTS, json.dumps(tables))

    def _traces(self, entry: Entry) -> None:
        log_traces(self._store, self._run_id, self._experiment_id, self._journal.folder / entry["file"])

    def _checkpoint(self, entry: Entry) -> None:
        folder: Path = self._journal.folder
        weights = folder / entry["file"]
        if not weights.exists():  # dropped before it was sent: its scores remain
            points = [Metric(key, value, entry["time"], entry["step"]) for key, value in entry["scores"].items()]
            self._store.client.log_batch(self._run_id, metrics=points)
            return
        log_checkpoint(
            self._store,
            self._run_id,
            self._experiment_id,
            weights,
            configs=[folder / file for file in entry["configs"]],
            staging=folder / "tracking.staged",
            step=entry["step"],
            time=entry["time"],
            scores=entry["scores"],
            dataset=(entry["dataset"][0], entry["dataset"][1]),
            params=entry["params"],
            tags=entry["tags"] | {"run": self._run_id},
        )

    def _measured(self, entry: Entry) -> None:
        model_id = find_checkpoint(self._store, self._run_id, self._experiment_id, entry["step"])
        name, digest = entry["dataset"] or (None, None)
        points = [
            Metric(
                key,
                value,
                entry["time"],
                entry["step"],
                model_id=model_id,  # None: it was dropped, or the run has none
                dataset_name=name,
                dataset_digest=digest,
            )
            for key, value in entry["values"].items()
            if math.isfinite(value)  # MLflow would keep a NaN as 0 there
        ]
        self._store.client.log_batch(self._run_id, metrics=points)

    def _dropped(self, entry: Entry) -> None:
        model_id = find_checkpoint(self._store, self._run_id, self._experiment_id, entry["step"])
        # a person may have given it a name since; this is the last moment to ask
        if model_id is not None and model_id not in promoted_models(self._store, self._run_id):
            drop_checkpoint(self._store, model_id)
        # logging it may have put the stored bytes in place of a file that was gone by then
        (self._journal.folder / entry["file"]).unlink(missing_ok=True)

    def _damaged(self, entry: Entry) -> None:
        """Something is missing: the run in MLflow says so."""
        self._store.client.set_tag(self._run_id, DAMAGE, "; ".join(self._journal.damage)[:5000])

    def _reopened(self, entry: Entry) -> None:
        told = self._store.client.get_run(self._run_id).data.tags
        for tag in {"failure", STATE} & told.keys():
            self._store.client.delete_tag(self._run_id, tag)
        self._store.client.update_run(self._run_id, status=RunState.RUNNING)

    def _ended(self, entry: Entry) -> None:
        if entry["reason"]:
            self._store.client.set_tag(self._run_id, "failure", entry["reason"])
        self._store.client.set_terminated(self._run_id, entry["status"], end_time=entry["time"])


_KINDS: dict[EntryKind, Callable[[Sender, Entry], Any]] = {
    EntryKind.PARAMS: Sender._params,
    EntryKind.TAGS: Sender._tags,
    EntryKind.DATASET: Sender._dataset,
    EntryKind.ARTIFACT: Sender._artifact,
    EntryKind.TRACES: Sender._traces,
    EntryKind.CHECKPOINT: Sender._checkpoint,
    EntryKind.MEASURED: Sender._measured,
    EntryKind.DAMAGED: Sender._damaged,
    EntryKind.DROPPED: Sender._dropped,
    EntryKind.REOPENED: Sender._reopened,
    EntryKind.ENDED: Sender._ended,
}


def create_run(store: Store, experiment_id: str, begun: Entry) -> str:
    """Make the run that a journal's first entry describes; returns MLflow's id."""
    tags = {MLFLOW_SOURCE_NAME: "harness.train", MLFLOW_USER: begun["user"], **begun["tags"]}
    if begun["parent"]:
        tags[MLFLOW_PARENT_RUN_ID] = begun["parent"]
    run = store.client.create_run(experiment_id, start_time=begun["time"], tags=tags, run_name=begun["name"])
    return str(run.info.run_id)
