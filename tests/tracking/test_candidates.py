"""Which checkpoint is the best, and which may not be chosen."""

from dataclasses import replace

from harness.config.objective import TEST_LOSS, VALID_LOSS, WIN_RATE, objective
from harness.tracking import queries
from harness.tracking.candidates import (
    of_run,
    of_sweep,
)
from harness.tracking.run_state import STATE, RunState
from harness.tracking.store import Store
from tests.runs import Begin, begin_trial, best_of, candidates_of, log_checkpoint


def test_the_best_checkpoint_has_the_lowest_loss_and_of_equals_the_earliest(store: Store, begin: Begin) -> None:
    run = begin("best")
    for step, loss in ((1, 3.0), (2, 2.0), (3, 2.0), (4, float("nan"))):
        log_checkpoint(run, step, loss)
    found = best_of(store, run)
    assert [(point.step, point.value) for point in found] == [(2, 2.0), (3, 2.0), (1, 3.0)]
    highest = candidates_of(store, run, replace(VALID_LOSS, maximize=True)).best[0]
    assert highest.value == 3.0


def test_scores_on_other_validation_data_are_not_compared(store: Store, begin: Begin) -> None:
    run = begin("other-data")
    log_checkpoint(run, 1, 1.0, digest="old")
    log_checkpoint(run, 2, 2.0, digest="new")
    found = candidates_of(store, run)
    assert ([point.step for point in found.best], found.elsewhere) == ([2], 1)


def test_a_sweeps_checkpoints_are_those_of_its_trials_but_no_repeats_pruned_or_deleted_ones(
    store: Store, begin: Begin
) -> None:
    sweep, single = begin("of-sweep", kind="sweep"), begin("of-sweep")
    trial, pruned, deleted = (begin_trial(begin, "of-sweep", sweep) for _ in range(3))
    repeat = begin_trial(begin, "of-sweep", sweep, kind="repeat")
    log_checkpoint(single, 1, 1.0)
    for loss, run in ((2.0, trial), (0.1, pruned), (0.2, deleted), (0.3, repeat)):
        log_checkpoint(run, 2, loss, sweep=sweep.run_id)
    pruned.tags({STATE: RunState.PRUNED.tag})
    pruned.finish(RunState.PRUNED, "others were better")
    store.client.delete_run(deleted.run_id)
    found = of_sweep(store, queries.get(store, sweep.run_id)).best
    assert [point.run_id for point in found] == [trial.run_id]
    assert [point.run_id for point in best_of(store, trial)] == [single.run_id, trial.run_id], "of the experiment too"
    assert [point.value for point in of_run(store, queries.get(store, repeat.run_id)).best] == [0.3], "but by its id"


def test_a_trial_that_breaks_what_its_sweep_requires_is_not_chosen(store: Store, begin: Begin) -> None:
    sweep = begin("required", kind="sweep")
    sweep.params({"sweep.require": ["text/memorised_run < 20", "text/loops in [0, 1]"]})
    memorised, sound, unmeasured = (begin_trial(begin, "required", sweep) for _ in range(3))
    for run, loss in ((memorised, 1.0), (sound, 2.0), (unmeasured, 0.5)):
        log_checkpoint(run, 1, loss, sweep=sweep.run_id)
    memorised.metrics(1, {"text/memorised_run": 40.0, "text/loops": 0.0})
    sound.metrics(1, {"text/memorised_run": 4.0, "text/loops": 0.0})
    assert [run.drain() for run in (sweep, memorised, sound)] == [0, 0, 0]
    found = of_sweep(store, queries.get(store, sweep.run_id)).best
    assert [point.run_id for point in found] == [sound.run_id]
    assert [point.run_id for point in best_of(store, sound)] == [sound.run_id], "in the experiment too"


def test_a_checkpoint_carries_what_was_measured_of_it(store: Store, begin: Begin) -> None:
    run = begin("measured")
    for step, loss in ((1, 3.0), (2, 2.0)):
        log_checkpoint(run, step, loss)
    run.checkpoint_metrics(2, {WIN_RATE.name: 0.75})
    run.checkpoint_metrics(2, {TEST_LOSS: 2.5}, dataset=("test", "t1"))
    assert run.drain() == 0, run.trouble
    (judged,), (tested,) = (
        candidates_of(store, run, WIN_RATE).best,
        candidates_of(store, run, objective(TEST_LOSS)).best,
    )
    assert (judged.step, judged.value, judged.digest) == (2, 0.75, "d1")
    assert (tested.step, tested.value, tested.digest) == (2, 2.5, "t1")
    points = store.client.get_metric_history(run.run_id, WIN_RATE.name)
    assert [(point.step, point.value) for point in points] == [(2, 0.75)], "the run has it too, once"


def test_a_win_rate_that_only_the_run_carries_counts_for_its_best_checkpoint(store: Store, begin: Begin) -> None:
    """So it was kept by former versions."""
    run = begin("judged-before")
    for step, loss in ((1, 3.0), (2, 2.0), (3, 2.5)):
        log_checkpoint(run, step, loss)
    run.metrics(3, {WIN_RATE.name: 0.75})
    run.drain()
    assert [(point.step, point.value) for point in candidates_of(store, run, WIN_RATE).best] == [(2, 0.75)]
