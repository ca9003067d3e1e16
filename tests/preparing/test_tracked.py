"""A prepared folder is in MLflow where there is a store, and is no run to be compared."""

from collections.abc import Callable
from pathlib import Path

from harness.config.schema import PrepareCommand
from harness.console.progress import Display
from harness.preparing.job import job_of
from harness.preparing.pipeline import prepare_folder
from harness.preparing.tracked import track
from harness.tracking.queries import newest
from harness.tracking.runs import TrackedRun
from harness.tracking.store import Store
from tests.conftest import compose_config


def test_splits_are_dataset_inputs_and_the_report_is_kept(
    store: Store, begin: Callable[..., TrackedRun], tmp_path: Path
) -> None:
    trained = begin("trained")
    words = [f"data.path={tmp_path / 'out'}", "model.path=null", f"tracking.uri={store.uri}"]
    command = compose_config(*words, command=PrepareCommand, config_name="prepare")
    run_id = track(prepare_folder(job_of(command, Display())), command)
    assert run_id is not None
    found = store.client.get_run(run_id)
    assert found.inputs is not None
    assert sorted(each.dataset.name for each in found.inputs.dataset_inputs) == ["test", "train", "valid"]
    assert found.data.params["source.kind"] == "poems" and found.data.metrics["train/rows"] > 200
    artifacts = {each.path for each in store.client.list_artifacts(run_id)}
    assert artifacts == {"report.json", "report.md", "report.html", "manifest.json"}
    assert track(prepare_folder(job_of(command, Display())), command) is None
    assert newest(store).run_id == trained.run_id
