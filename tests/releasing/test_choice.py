"""What a checkpoint is chosen from, and what luck had its choice among."""

from harness.releasing.choice import Choice, choose
from harness.tracking.run_state import STATE, RunState
from harness.tracking.store import Store
from tests.runs import Begin, begin_trial, end_run, log_checkpoint


def test_a_trial_that_is_named_by_hand_was_chosen_among_those_of_its_sweep_that_it_beats(
    store: Store, begin: Begin
) -> None:
    sweep = begin("beside", kind="sweep")
    best, middle, worst, pruned = (begin_trial(begin, "beside", sweep) for _ in range(4))
    repeat = begin_trial(begin, "beside", sweep, kind="repeat")
    for run, loss in ((best, 1.0), (middle, 2.0), (worst, 3.0), (pruned, 4.0), (repeat, 0.5)):
        log_checkpoint(run, 1, loss, sweep=sweep.run_id)
        log_checkpoint(run, 2, loss + 0.5, sweep=sweep.run_id)
    pruned.tags({STATE: RunState.PRUNED.tag})
    assert pruned.finish(RunState.PRUNED, "others were better") == 0
    for run in (best, middle, worst, repeat):
        end_run(run)

    def among(choice: Choice) -> list[tuple[str, float]]:
        return [(point.run_id, point.value) for point in choose(store, choice).among]

    of_middle = [(middle.run_id, 2.0), (middle.run_id, 2.5)]
    of_worst = [(worst.run_id, 3.0), (worst.run_id, 3.5)]
    assert among(Choice(run=middle.run_id)) == [*of_middle, *of_worst]
    assert among(Choice(sweep=sweep.run_id)) == [(best.run_id, 1.0), (best.run_id, 1.5), *of_middle, *of_worst]
    assert among(Choice(run=repeat.run_id)) == [(repeat.run_id, 0.5), (repeat.run_id, 1.0)], (
        "it is there to know the noise"
    )
