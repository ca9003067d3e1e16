"""A study put right from what its runs say: what has ended stays so, what was left is anyone's, gaps are tried."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness.config.axes import Axis, Range, Space
from harness.sweeping.rebuild import Recovered, rebuild_study
from harness.sweeping.states import TrialStatus
from harness.sweeping.storage import open_studies
from harness.sweeping.trial import Trial, TrialEnd
from tests.sweeping.small import RANK, RATE, SCALE, make_study


def _recovered(number: int, status: TrialStatus, **values: Any) -> Recovered:
    moment = datetime(2026, 1, 1, tzinfo=UTC).replace(tzinfo=None)
    params = {"lora.rank": [4, 8][number // 3], "lora.scale": [1.0, 2.0, 3.0][number % 3]}
    usual: dict[str, Any] = {"params": params, "run_id": f"run{number}", "started": moment, "ended": moment}
    return Recovered(number=number, status=status, **usual | values)


def _rebuild(folder: Path, axes: list[Axis | Range], *recovered: Recovered, grid: bool = True) -> int:
    return rebuild_study(open_studies(None, folder), "s", Space(axes, []), "p", recovered, grid=grid)


def test_a_study_that_is_gone_goes_on_with_what_was_left_and_with_what_nobody_knows_of(tmp_path: Path) -> None:
    done = _recovered(0, TrialStatus.DONE, value=0.5)
    pruned = _recovered(1, TrialStatus.PRUNED, reports={1: 3.0, 2: 2.5})
    failed = _recovered(3, TrialStatus.FAILED, failure="too small")
    left = _recovered(4, TrialStatus.RUNNING, reports={1: 7.0})
    assert _rebuild(tmp_path, [RANK, SCALE], failed, done, pruned, left) == 4
    seen: list[tuple[int, str | None]] = []

    def objective(trial: Trial) -> TrialEnd:
        seen.append((trial.number, trial.begun_as))
        return TrialEnd(9.0)

    study = make_study(tmp_path, RANK, SCALE)
    assert study.parent == "p"
    study.run(objective)
    assert seen == [(2, None), (4, "run4"), (5, None)]
    assert [(r.value, r.pruned, r.failure) for r in study.results()] == [
        (0.5, False, None),
        (2.5, True, None),
        (9.0, False, None),
        (None, False, "too small"),
        (9.0, False, None),
        (9.0, False, None),
    ]
    assert [r.trial.params for r in study.results()] == list(Space([RANK, SCALE], []).combinations())


def test_what_a_study_knows_half_of_is_completed_and_the_rest_stays(tmp_path: Path) -> None:
    def objective(trial: Trial) -> TrialEnd:
        trial.report(1, 5.0)
        if trial.number == 1:
            raise KeyboardInterrupt
        return TrialEnd(float(trial.number))

    study = make_study(tmp_path, RANK, SCALE)
    try:
        study.run(objective)
    except KeyboardInterrupt:
        recovered = [_recovered(number, TrialStatus.DONE, value=7.0, reports={1: 5.0, 2: 6.0}) for number in (0, 1)]
        assert _rebuild(tmp_path, [RANK, SCALE], *recovered) == 1
    assert [(result.value, result.run_id) for result in study.results()] == [(0.0, None), (7.0, "run1")]
    assert _rebuild(tmp_path, [RANK, SCALE], *recovered) == 0, "twice does no harm"


def test_in_a_search_what_nobody_knows_of_counts_as_no_trial(tmp_path: Path) -> None:
    known = _recovered(2, TrialStatus.DONE, value=1.0, params={"train.learning_rate": 1e-4})
    _rebuild(tmp_path, [RATE], known, grid=False)
    study = make_study(tmp_path, RATE, trials=3)
    study.run(lambda trial: TrialEnd(2.0))
    assert [result.value for result in study.results()] == [1.0, 2.0, 2.0]
