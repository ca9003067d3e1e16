"""Links and tables of what there is, the best first."""

import json

import pytest

from harness.config.schema import TrackingConfig
from harness.tracking.queries import newest, trials
from harness.tracking.runs import TrackedRun
from harness.tracking.store import open_store
from harness.tracking.views import page_links, save_view
from tests.runs import end_run


def test_trials_are_listed_best_first_and_linked(tmp_path_factory: pytest.TempPathFactory) -> None:
    store = open_store(TrackingConfig(uri=f"sqlite:///{tmp_path_factory.mktemp('listed') / 'mlflow.db'}"))
    with TrackedRun.start(store, "listed", name="sweep", tags={"kind": "sweep"}) as sweep:
        for number, loss in enumerate((3.0, 2.0)):
            tags = {"kind": "trial", "sweep": sweep.run_id}
            with TrackedRun.start(store, "listed", name=f"t{number}", tags=tags, parent=sweep.run_id) as trial:
                trial.metrics(1, {"valid/best_loss": loss})
                end_run(trial)
    experiment_id = store.experiment_id("listed")
    assert newest(store).run_id == sweep.run_id
    assert [run.name for run in trials(store, newest(store))] == ["t1", "t0"]
    save_view(store, experiment_id, sweep.run_id, ["lora.rank"])
    assert f"viewStateShareKey={sweep.run_id}" in dict(page_links(store))["trials of newest sweep"]
    tags = store.client.get_experiment(experiment_id).tags
    view = json.loads(tags[f"mlflow.sharedViewState.{sweep.run_id}"])
    assert "params.`lora.rank`" in view["selectedColumns"] and sweep.run_id in view["searchFilter"]
