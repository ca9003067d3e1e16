"""Exports of what is in the registry: found by its alias, with the run's figures and the gate's record in the card."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.config.schema import TrackingConfig
from harness.models.adapter_files import WEIGHTS_FILE, checkpoint_name
from harness.models.base import Base
from harness.releasing.export.run import Order, export
from harness.releasing.export.target import Target
from harness.tracking.registry import register, set_alias
from harness.tracking.runs import TrackedRun
from harness.tracking.store import Store
from tests.releasing.export.conftest import MakeAdapter
from tests.runs import best_of, end_run


@pytest.fixture
def champion(
    store: Store, begin: Callable[..., TrackedRun], base: Base, make_adapter: MakeAdapter, tmp_path: Path
) -> str:
    run = begin("exported")
    adapter = make_adapter(base, run=run.run_id)
    weights = run.folder / checkpoint_name(6)
    shutil.copyfile(adapter / WEIGHTS_FILE, weights)
    for file in (adapter / "adapter_config.json", adapter.parent / "config.yaml"):
        shutil.copyfile(file, run.folder / file.name)
    run.dataset(name="valid", digest="d1", path=tmp_path / "valid.jsonl", context="valid")
    run.metrics(6, {"test/loss": 6.25, "judge/win_rate": 0.625, "judge/win_rate_stderr": 0.0625})
    run.checkpoint(
        weights.name,
        configs=["adapter_config.json", "config.yaml"],
        step=6,
        scores={"valid/loss": 6.5},
        dataset=("valid", "d1"),
        params={},
        tags={"base": base.path},
    )
    end_run(run)
    version = register(store, best_of(store, run)[0], "exported")
    set_alias(store, "exported", "champion", version.number)
    store.client.set_model_version_tag("exported", "1", "gate", "passed")
    store.client.update_model_version("exported", "1", "better by 0.2, of /home/someone/data.jsonl")
    return "models:/exported@champion"


def test_a_version_is_exported_by_its_alias_with_the_gates_record(champion: str, store: Store, tmp_path: Path) -> None:
    out = tmp_path / "a"
    order = Order(reference=champion, target=Target.MLX, out=out)
    export(order, TrackingConfig(uri=store.uri))
    card = (out / "README.md").read_text("utf-8")
    assert "# exported-v1" in card and "exported version 1\n\nGate: passed\n\nbetter by 0.2, of data.jsonl" in card
    assert "`valid/loss`): 6.5000" in card and "`test/loss`): 6.2500" in card
    assert "`judge/win_rate`): 0.6250 ± 0.0625" in card
    assert "the validation data is another than the run's, by its digest" in card
    assert "digest: d1" in card
