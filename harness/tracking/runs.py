"""One MLflow run, always by its id: MLflow's notion of a current run is not used.

Metrics are gathered and sent in batches: a call costs several milliseconds, a hundred points hardly more.
"""

import getpass
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mlflow.data.dataset_source_registry import resolve_dataset_source
from mlflow.data.meta_dataset import MetaDataset
from mlflow.entities import DatasetInput, InputTag, Metric, Param, RunTag
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID, MLFLOW_SOURCE_NAME, MLFLOW_USER

from harness.tracking.store import Store

_SEND_EVERY_SECONDS = 2.0
_SEND_AT = 500
_LONGEST_PARAMETER = 6000  # characters; MLflow cuts what is longer


class TrackedRun:
    """Writes to one run. Make it with `start` or `go_on`, end it with `finish`."""

    def __init__(self, store: Store, experiment_id: str, run_id: str) -> None:
        self.store = store
        self.experiment_id = experiment_id
        self.run_id = run_id
        self._waiting: list[Metric] = []
        self._known: dict[str, int] = {}
        self._sent = time.monotonic()

    @classmethod
    def start(
        cls,
        store: Store,
        experiment_id: str,
        *,
        name: str,
        tags: Mapping[str, str],
        parent: str | None = None,
    ) -> "TrackedRun":
        all_tags = {MLFLOW_SOURCE_NAME: "harness.train", MLFLOW_USER: getpass.getuser(), **tags}
        if parent:
            all_tags[MLFLOW_PARENT_RUN_ID] = parent
        run = store.client.create_run(experiment_id, run_name=name, tags=all_tags)
        return cls(store, experiment_id, run.info.run_id)

    @classmethod
    def go_on(cls, store: Store, experiment_id: str, run_id: str) -> "TrackedRun":
        """Take up a run that was interrupted: it runs again, and points that it has are not sent twice."""
        run = cls(store, experiment_id, run_id)
        found = store.client.get_run(run_id)
        for key in found.data.metrics:
            run._known[key] = max(point.step for point in store.client.get_metric_history(run_id, key))
        if "failure" in found.data.tags:
            store.client.delete_tag(run_id, "failure")
        store.client.update_run(run_id, status="RUNNING")
        return run

    def params(self, values: Mapping[str, Any]) -> None:
        params = [Param(key, _text(value)[:_LONGEST_PARAMETER]) for key, value in values.items()]
        for start in range(0, len(params), 100):  # MLflow's limit for one call
            self.store.client.log_batch(self.run_id, params=params[start : start + 100])

    def tags(self, values: Mapping[str, str]) -> None:
        self.store.client.log_batch(self.run_id, tags=[RunTag(key, value) for key, value in values.items()])

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        """Points at an update; they reach MLflow within seconds, or with `flush`."""
        now = int(time.time() * 1000)
        new = {key: value for key, value in values.items() if step > self._known.get(key, -1)}
        self._waiting += [Metric(key, value, now, step) for key, value in new.items()]
        if len(self._waiting) >= _SEND_AT or time.monotonic() - self._sent > _SEND_EVERY_SECONDS:
            self.flush()

    def flush(self) -> None:
        for start in range(0, len(self._waiting), 1000):  # MLflow's limit for one call
            self.store.client.log_batch(self.run_id, metrics=self._waiting[start : start + 1000])
        self._waiting = []
        self._sent = time.monotonic()

    def dataset(self, *, name: str, digest: str, path: Path, context: str) -> None:
        """An input of the run, with our own digest: MLflow's ignores columns that hold lists."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # MLflow registers its local source twice, and says so
            source = resolve_dataset_source(str(path))
        dataset = MetaDataset(source, name=name, digest=digest)  # type: ignore[abstract]  # mlflow's own slip
        tag = InputTag("mlflow.data.context", context)
        self.store.client.log_inputs(self.run_id, [DatasetInput(dataset._to_mlflow_entity(), [tag])])

    def artifact(self, path: Path, folder: str | None = None) -> None:
        self.store.client.log_artifact(self.run_id, str(path), folder)

    def table(self, rows: Sequence[Mapping[str, Any]], file: str) -> None:
        """Rows of equal keys. The same `file` in every run can be compared in the UI."""
        columns = {key: [row[key] for row in rows] for key in rows[0]} if rows else {}
        self.store.client.log_table(self.run_id, columns, file)

    def finish(self, status: str, reason: str | None = None) -> None:
        """`status`: FINISHED, FAILED or KILLED, with the reason as a tag."""
        self.flush()
        if reason:
            self.tags({"failure": reason[:5000]})
        self.store.client.set_terminated(self.run_id, status)


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.12g}"
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    return str(value)
