"""A search that brings nothing more ends by itself, and stays ended until it is told otherwise."""

from collections.abc import Callable, Sequence
from pathlib import Path

from harness.multirun.stagnation import is_stagnant
from harness.sweeping.listing import find_study
from harness.sweeping.storage import open_studies
from harness.sweeping.study import Study
from harness.sweeping.trial import Result, Trial, TrialEnd
from tests.sweeping.small import RATE, make_study

NOISE = 0.05


def _alike(best: Result, former: Result) -> bool:
    assert best.value is not None and former.value is not None
    return former.value - best.value < NOISE


def _results(values: Sequence[float | None]) -> list[Result]:
    trials = [Trial(place - 1, place, {}) for place, _ in enumerate(values, 1)]
    return [
        Result(trial, value, None if value is not None else "died") for trial, value in zip(trials, values, strict=True)
    ]


def test_what_comes_late_counts_only_beyond_the_noise() -> None:
    fell = [5.0, 4.5, 4.2]
    assert is_stagnant(_results([*fell, 4.3, 4.25, 4.4]), 3, _alike), "nothing better"
    assert is_stagnant(_results([*fell, 4.3, 4.17, 4.4]), 3, _alike), "better by less than the noise"
    assert not is_stagnant(_results([*fell, 4.3, 4.1, 4.4]), 3, _alike), "better by more"
    assert not is_stagnant(_results([*fell, 4.3, 4.25]), 3, _alike), "of the last three one was the best"
    assert not is_stagnant(_results(fell), 3, _alike), "nothing to compare with"


def test_steps_that_are_each_within_the_noise_add_up() -> None:
    slowly = [5.0 - 0.02 * step for step in range(12)]
    assert not is_stagnant(_results(slowly), 4, _alike)


def test_a_failed_trial_tells_nothing() -> None:
    assert not is_stagnant(_results([5.0, 4.5, None, None, None]), 3, _alike)
    assert is_stagnant(_results([4.5, None, 5.0, 5.1, None, 5.2]), 3, _alike)


def _simulated(trial: Trial) -> TrialEnd:
    """A curve that falls to what the rate is good for: best at 3e-4."""
    rate = float(str(trial.params[RATE.name]))
    end = 4.0 + abs(rate - 3e-4) * 1e3
    for step in range(1, 4):
        trial.report(step, end + 1 / step)
    return TrialEnd(end)


def _settling(study: Study, after: int) -> Callable[[], str | None]:
    def may_begin() -> str | None:
        if after < len(study.results()) < study.total and is_stagnant(study.results(), after, _alike):
            study.settle()
        return None

    return may_begin


def test_a_settled_search_is_done_and_goes_on_only_when_told(tmp_path: Path) -> None:
    study = make_study(tmp_path, RATE, trials=60, stop_when="stagnant", stagnant_trials=8)
    study.set_parent("p")
    assert study.run(_simulated, may_begin=_settling(study, 8)) is None, "it came to its end"
    enough = len(study.results())
    assert 8 < enough < 60 and study.total == enough
    listed = find_study(open_studies(None, tmp_path), "p")
    assert (listed.ended, listed.total, str(listed.state)) == (enough, enough, "done")

    same = make_study(tmp_path, RATE, trials=60, stop_when="stagnant", stagnant_trials=8)
    same.unsettle()
    same.run(_simulated)
    assert len(same.results()) == same.total == enough

    for told in ({"stop_when": None}, {"stop_when": "stagnant", "stagnant_trials": 30}):
        more = make_study(tmp_path, RATE, trials=enough + 1, **told)
        more.unsettle()
        assert more.total == enough + 1, told
    more.run(_simulated)
    assert len(more.results()) == enough + 1
