"""Trials that have ended, tried again on request: what stands in the study afterwards."""

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.config.axes import Space
from harness.errors import HarnessError
from harness.sweeping.listing import ask_to_stop, check_can_be_tried_again, find_study
from harness.sweeping.states import TrialStatus
from harness.sweeping.storage import open_studies
from harness.sweeping.study import open_study
from harness.sweeping.trial import Trial, TrialEnd, best_results
from tests.sweeping.small import PACE, RANK, SCALE, make_search, make_study


def _fails(trial: Trial) -> TrialEnd:
    raise HarnessError("no luck")


def _scores(trial: Trial) -> TrialEnd:
    return TrialEnd(float(trial.number))


def test_a_trial_that_failed_is_tried_again_in_its_place(tmp_path: Path) -> None:
    study = make_study(tmp_path, RANK)
    study.set_parent("p1")
    study.run(lambda trial: _fails(trial) if trial.place == 1 else _scores(trial))
    seen: list[Trial] = []
    study.run_again(1, lambda trial: seen.append(trial) or TrialEnd(0.25))
    assert (seen[0].number, seen[0].place, seen[0].params) == (0, 1, {"lora.rank": 4})
    for each in (study, make_study(tmp_path, RANK)):
        assert [(r.trial.number, r.trial.place, r.value, r.failure) for r in each.results()] == [
            (0, 1, 0.25, None),
            (1, 2, 1.0, None),
        ]
    listed = find_study(open_studies(None, tmp_path), None)
    assert (listed.ended, listed.counts[TrialStatus.DONE], listed.counts[TrialStatus.FAILED]) == (2, 2, 0)
    assert listed.best == 0.25 and study.run(_fails) is None, "nothing is left to try"


def test_a_trial_that_fails_again_can_be_tried_once_more(tmp_path: Path) -> None:
    study = make_study(tmp_path, RANK)
    study.run(_fails)
    study.run_again(2, _fails)
    assert [result.failure for result in study.results()] == ["no luck", "no luck"]
    study.run_again(2, _scores)
    assert [result.value for result in study.results()] == [None, 1.0]
    assert study.tried == 4


def test_a_trial_that_was_stopped_by_hand_stays_pruned_until_it_is_tried_to_its_end(tmp_path: Path) -> None:
    studies = open_studies(None, tmp_path)

    def stopped(trial: Trial) -> TrialEnd:
        trial.run("r1")
        ask_to_stop(studies, find_study(studies, "p"), trial.place)
        assert trial.report(1, 9.0)
        return TrialEnd(9.0, pruned=True)

    def to_its_end(trial: Trial) -> TrialEnd:
        assert trial.begun_as == "r1"
        assert not trial.report(1, 9.0) and not trial.report(2, 8.0), "nobody asks it to end again"
        return TrialEnd(0.5)

    study = open_study("s", studies, Space([RANK], []), make_search(pruner="median"), PACE)
    study.set_parent("p")
    study.run(stopped)
    assert not best_results(study.results())
    study.run_again(2, to_its_end)
    assert [result.trial.place for result in best_results(study.results())] == [2]
    assert [result.pruned for result in study.results()] == [True, False]


def test_one_that_is_interrupted_again_is_taken_up_by_the_same_command(tmp_path: Path) -> None:
    def interrupted(trial: Trial) -> TrialEnd:
        raise KeyboardInterrupt

    study = make_study(tmp_path, RANK)
    study.run(_fails)
    with pytest.raises(KeyboardInterrupt):
        study.run_again(1, interrupted)
    assert [result.trial.place for result in study.results()] == [2], "it has not ended"
    study.run(_scores)
    assert [result.value for result in study.results()] == [0.0, None]


def test_one_that_was_left_goes_on_alone_and_the_others_wait(tmp_path: Path) -> None:
    def interrupted(trial: Trial) -> TrialEnd:
        if trial.place == 2:
            raise KeyboardInterrupt
        return _scores(trial)

    study = make_study(tmp_path, RANK, SCALE)
    with pytest.raises(KeyboardInterrupt):
        study.run(interrupted)
    study.run_again(2, _scores)
    assert [result.value for result in study.results()] == [0.0, 1.0], "of six"


def test_what_cannot_be_tried_again_is_one_line(tmp_path: Path) -> None:
    studies = open_studies(None, tmp_path)

    def at_work(trial: Trial) -> TrialEnd:
        with pytest.raises(HarnessError, match="trial 2 is running; python -m harness.sweep stop --trial 2 ends it"):
            check_can_be_tried_again(studies, find_study(studies, "p"), 2)
        return _scores(trial)

    study = make_study(tmp_path, RANK)
    study.set_parent("p")
    study.run(lambda trial: at_work(trial) if trial.place == 2 else _scores(trial))
    refusals: list[Callable[[int], None]] = [
        lambda place: study.run_again(place, _fails),
        lambda place: check_can_be_tried_again(studies, find_study(studies, "p"), place),
    ]
    for refuse in refusals:
        with pytest.raises(HarnessError, match="trial 1 is done; only one that failed, was pruned or was left"):
            refuse(1)
        with pytest.raises(HarnessError, match="trials 1 to 2, but got 3"):
            refuse(3)


def test_a_part_of_a_study_is_stopped_with_it_and_its_workers_are_listed(tmp_path: Path) -> None:
    studies = open_studies(None, tmp_path)
    study = make_study(tmp_path, RANK)
    study.set_parent("p")
    study.run(_scores)
    part = open_study("s-1", studies, Space([RANK], []), make_search(), PACE, part_of=study)

    def repeated(trial: Trial) -> TrialEnd:
        listed = find_study(studies, "p")
        assert listed.state == "running" and len(listed.workers) == 1
        ask_to_stop(studies, listed, None)
        trial.report(1, 1.0)
        assert trial.stopped()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        part.run(repeated)
    assert find_study(studies, "p").state == "stopped" and part.run(_scores) == "stopped by harness.sweep"
    study.unstop()
    assert part.run(_scores) is None and find_study(studies, "p").state == "done"
