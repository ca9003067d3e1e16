"""What a run tells arrives in MLflow, each point once."""

from pathlib import Path

from harness.tracking.run_state import RunState
from harness.tracking.store import Store
from tests.runs import Begin, end_run


def test_parameters_metrics_and_reason_arrive(store: Store, begin: Begin) -> None:
    run = begin("arrive")
    run.params({"lora.rank": 8, "train.learning_rate": 1e-5, "lora.keys": ["q", "v"], "data.labels": None})
    for step in range(1, 4):
        run.metrics(step, {"train/loss": 1 / step})
    run.finish(RunState.FAILED, "the reason")
    found = store.client.get_run(run.run_id)
    assert found.data.params == {
        "lora.rank": "8",
        "train.learning_rate": "1e-05",
        "lora.keys": "q,v",
        "data.labels": "None",
    }
    assert [(m.step, m.value) for m in store.client.get_metric_history(run.run_id, "train/loss")] == [
        (1, 1.0),
        (2, 0.5),
        (3, 1 / 3),
    ]
    assert (found.info.status, found.data.tags["failure"]) == ("FAILED", "the reason")


def test_a_dataset_is_an_input_with_our_digest(store: Store, begin: Begin, tmp_path: Path) -> None:
    run = begin("input")
    run.dataset(name="train", digest="f" * 32, path=tmp_path, context="train")
    end_run(run)
    inputs = store.client.get_run(run.run_id).inputs
    assert inputs is not None and [(i.dataset.name, i.dataset.digest) for i in inputs.dataset_inputs] == [
        ("train", "f" * 32)
    ]


def test_each_point_is_told_once(store: Store, begin: Begin) -> None:
    run = begin("points")
    run.metrics(6, {"memory/peak_gb": 1.0, "train/loss": 2.0})
    run.metrics(6, {"memory/peak_gb": 1.5, "train/seconds": 9.0})
    end_run(run)
    for name in ("memory/peak_gb", "train/loss", "train/seconds"):
        assert [point.step for point in store.client.get_metric_history(run.run_id, name)] == [6]
