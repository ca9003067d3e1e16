"""Checkpoints as logged models: their files once, their scores with them."""

from harness.files import digest_of
from harness.tracking import queries
from harness.tracking.candidates import (
    of_run,
)
from harness.tracking.checkpoints import checkpoint_folder
from harness.tracking.registry import register, resolve
from harness.tracking.store import Store
from tests.runs import Begin, best_of, log_checkpoint


def test_a_checkpoint_is_stored_once_with_its_score(store: Store, begin: Begin) -> None:
    run = begin("once")
    local = log_checkpoint(run, 200, 2.5)
    (found,) = best_of(store, run)
    folder = checkpoint_folder(store, found.model_id)
    assert sorted(path.name for path in folder.iterdir()) == ["adapter_config.json", "adapters.safetensors"]
    assert (folder / "adapters.safetensors").samefile(local)
    history = store.client.get_metric_history(run.run_id, "valid/loss")
    assert [(point.step, point.value) for point in history] == [(200, 2.5)]


def test_a_dropped_checkpoint_is_gone_with_its_files(store: Store, begin: Begin) -> None:
    run = begin("dropped")
    local = log_checkpoint(run, 1, 2.5)
    (found,) = best_of(store, run)
    folder = checkpoint_folder(store, found.model_id)
    run.drop_checkpoint(1, local.name)
    assert run.drain() == 0
    assert not local.exists()
    assert not (folder / "adapters.safetensors").exists()
    assert of_run(store, queries.get(store, run.run_id)).best == []


def test_a_checkpoint_that_was_promoted_before_it_is_dropped_stays_in_use(store: Store, begin: Begin) -> None:
    run = begin("dropped-promoted")
    local = [log_checkpoint(run, step, 3.0 - step) for step in (1, 2)]
    second, first = best_of(store, run)
    register(store, first, "kept-by-its-name")
    for step, file in enumerate(local, start=1):  # as train.keep does, which knows nothing of names
        run.drop_checkpoint(step, file.name)
        file.unlink()
    assert run.drain() == 0
    assert digest_of(resolve(store, "models:/kept-by-its-name/1") / "adapters.safetensors")
    assert [point.model_id for point in of_run(store, queries.get(store, run.run_id)).best] == [first.model_id]
    assert second.model_id != first.model_id
