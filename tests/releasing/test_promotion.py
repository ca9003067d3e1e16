"""From a choice of runs to one champion."""

import subprocess
import sys
from pathlib import Path

import pytest

from harness.config.objective import VALID_LOSS, WIN_RATE
from harness.config.schema import TrackingConfig
from harness.multirun.table import print_sweep
from harness.releasing.promotion import Choice, promote
from harness.tracking import queries
from harness.tracking.candidates import (
    best_of_trials,
)
from harness.tracking.queries import trials
from harness.tracking.runs import TrackedRun
from harness.tracking.store import Store, open_store
from harness.tracking.views import samples_link
from tests.runs import Begin, begin_trial, end_run, log_checkpoint


@pytest.fixture
def judged_sweep(store: Store, begin: Begin) -> tuple[TrackedRun, list[TrackedRun]]:
    """Two trials, of which the one with the higher loss writes better; and the newest of the store."""
    sweep = begin("judged", kind="sweep")
    sweep.params({"sweep.metric": WIN_RATE.name})
    runs = [begin_trial(begin, "judged", sweep) for _ in range(2)]
    for run, loss, rate in zip(runs, (1.0, 2.0), (0.25, 0.75), strict=True):
        log_checkpoint(run, 1, loss, sweep=sweep.run_id)
        run.checkpoint_metrics(1, {WIN_RATE.name: rate})
        run.metrics(1, {VALID_LOSS.name: loss})
        end_run(run)
    assert sweep.drain() == 0
    return sweep, runs


def test_what_is_the_best_follows_the_metric_of_the_sweep(
    store: Store, judged_sweep: tuple[TrackedRun, list[TrackedRun]], capsys: pytest.CaptureFixture[str]
) -> None:
    sweep, (lower, better) = judged_sweep
    found = queries.get(store, sweep.run_id)
    assert [row.run_id for row in trials(store, found)] == [better.run_id, lower.run_id]
    assert [point.run_id for point in best_of_trials(store, found, 1)] == [better.run_id]
    assert "win_rate%60&orderByAsc=false" in samples_link("1", sweep.run_id, queries.steered_by(store, found))
    tracking = TrackingConfig(uri=store.uri)
    print_sweep(sweep.run_id, tracking)
    head, *rows = capsys.readouterr().out.splitlines()[2:]
    assert head.split()[:2] == ["run", "judge/win_rate"] and [line.split()[1] for line in rows[1:3]] == ["0.75", "0.25"]
    promote(tracking, Choice(), name="judged", alias="champion")
    assert "judge/win_rate 0.7500" in capsys.readouterr().out
    assert store.client.get_model_version_by_alias("judged", "champion").run_id == better.run_id
    promote(tracking, Choice(sweep=sweep.run_id, metric="valid/loss"), name="judged", alias="champion")
    assert store.client.get_model_version_by_alias("judged", "champion").run_id == lower.run_id
    promote(tracking, Choice(run=better.run_id), name="judged", alias="champion")
    assert store.client.get_model_version_by_alias("judged", "champion").run_id == better.run_id


def test_several_that_promote_at_once_leave_one_champion_and_no_error(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    store = open_store(TrackingConfig(uri=uri))
    with TrackedRun.start(store, "at-once", name="r", tags={"kind": "run"}) as run:
        log_checkpoint(run, 1, 3.0)
        end_run(run)
    code = (
        "from harness.config.schema import TrackingConfig; from harness.releasing.promotion import Choice, promote;"
        f"promote(TrackingConfig(uri={uri!r}), Choice(), name='one', alias='champion')"
    )
    processes = [subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE) for _ in range(3)]
    said = [process.communicate()[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], said
    versions = store.client.search_model_versions("name = 'one'")
    assert [int(version.version) for version in versions] == [1]
