"""Versions and aliases, and what references lead to."""

from pathlib import Path

import pytest

from harness.config.schema import TrackingConfig
from harness.errors import HarnessError
from harness.tracking.checkpoints import checkpoint_folder
from harness.tracking.registry import alias_version, register, resolve, set_alias
from harness.tracking.store import Store, open_store
from harness.tracking.versions import model_names
from tests.runs import Begin, best_of, log_checkpoint


def test_promoting_rolling_back_and_resolving(store: Store, begin: Begin) -> None:
    run = begin("promote")
    for step, loss in ((1, 3.0), (2, 2.0)):
        log_checkpoint(run, step, loss)
    second, first = best_of(store, run)
    assert register(store, first, "poet").number == 1
    assert set_alias(store, "poet", "champion", 1) is None
    version = register(store, second, "poet")
    assert (version.number, version.new) == (2, True)
    assert set_alias(store, "poet", "champion", 2) == 1
    assert resolve(store, "models:/poet@champion") == checkpoint_folder(store, second.model_id)
    assert resolve(store, "models:/poet/1") == checkpoint_folder(store, first.model_id)
    assert resolve(store, f"models:/{first.model_id}") == checkpoint_folder(store, first.model_id)
    assert resolve(store, f"runs:/{run.run_id}") == checkpoint_folder(store, second.model_id)
    assert set_alias(store, "poet", "champion", 1) == 2
    assert resolve(store, "models:/poet@champion") == checkpoint_folder(store, first.model_id)


def test_promoting_the_same_checkpoint_again_makes_no_new_version(store: Store, begin: Begin) -> None:
    run = begin("again")
    log_checkpoint(run, 1, 3.0)
    best = best_of(store, run)[0]
    assert register(store, best, "again").new is True
    again = register(store, best, "again")
    assert (again.number, again.new) == (1, False)


def test_a_version_carries_its_lineage(store: Store, begin: Begin) -> None:
    run = begin("lineage")
    log_checkpoint(run, 7, 3.0)
    register(store, best_of(store, run)[0], "lineage")
    version = store.client.get_model_version("lineage", "1")
    assert version.run_id == run.run_id
    assert version.tags["base"] == "builtin:tiny" and version.tags["checkpoint_step"] == "7"
    assert float(version.tags["valid/loss"]) == 3.0


@pytest.mark.parametrize(
    ("reference", "complaint"),
    [
        ("models:/nobody@champion", "not found; "),
        ("models:/nobody/3", "is not in sqlite"),
        ("models:/nobody", "must name a version: models:/nobody@champion, or models:/nobody/1"),
        ("runs:/" + "0" * 32, "is not in sqlite"),
    ],
)
def test_a_reference_to_nothing_says_what_there_is(store: Store, reference: str, complaint: str) -> None:
    with pytest.raises(HarnessError) as caught:
        resolve(store, reference)
    assert complaint in str(caught.value)


def test_aliases_that_mlflow_keeps_for_itself_are_refused(store: Store) -> None:
    with pytest.raises(HarnessError, match="keeps for itself"):
        set_alias(store, "poet", "latest", 1)


def test_a_version_that_is_not_there_is_refused(store: Store) -> None:
    with pytest.raises(HarnessError, match="has no version 9"):
        set_alias(store, "poet", "champion", 9)


def test_an_alias_that_is_not_set_points_nowhere(store: Store) -> None:
    assert alias_version(store, "nobody", "champion") is None


def test_more_models_than_a_page_holds_are_all_known(tmp_path: Path) -> None:
    own = open_store(TrackingConfig(uri=f"sqlite:///{tmp_path / 'mlflow.db'}"))
    names = [f"m{number:03}" for number in range(101)]
    for name in names:
        own.client.create_registered_model(name)
    assert model_names(own) == names
