"""From a choice of runs to one champion."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from harness.config.objective import VALID_LOSS, WIN_RATE
from harness.config.schema import TrackingConfig
from harness.multirun.table import print_sweep
from harness.releasing.choice import Choice
from harness.releasing.promotion import promote
from harness.tracking import queries
from harness.tracking.candidates import (
    best_of_trials,
)
from harness.tracking.queries import trials
from harness.tracking.registry import alias_version
from harness.tracking.runs import TrackedRun
from harness.tracking.store import Store
from harness.tracking.views import samples_link
from tests.releasing.gates import forced
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
    promote(tracking, Choice(), forced(), name="judged", alias="champion")
    assert "judge/win_rate 0.7500" in capsys.readouterr().out
    assert store.client.get_model_version_by_alias("judged", "champion").run_id == better.run_id
    promote(tracking, Choice(sweep=sweep.run_id, metric="valid/loss"), forced(), name="judged", alias="champion")
    assert store.client.get_model_version_by_alias("judged", "champion").run_id == lower.run_id
    promote(tracking, Choice(run=better.run_id), forced(), name="judged", alias="champion")
    assert store.client.get_model_version_by_alias("judged", "champion").run_id == better.run_id


def test_several_that_promote_at_once_leave_one_champion_and_no_error(store: Store, begin: Begin) -> None:
    run = begin("at-once")
    log_checkpoint(run, 1, 3.0)
    end_run(run)

    terms = forced()

    def promote_it(_: int) -> None:
        promote(TrackingConfig(uri=store.uri), Choice(run=run.run_id), terms, name="one", alias="champion")

    with ThreadPoolExecutor(4) as several:
        list(several.map(promote_it, range(4)))
    assert [int(version.version) for version in store.client.search_model_versions("name = 'one'")] == [1]
    assert alias_version(store, "one", "champion") == 1
