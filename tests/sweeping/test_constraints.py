"""A sampler learns from what breaks a constraint or a requirement; nothing else counts it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from harness.config.axes import Rules, Space
from harness.config.conditions import read_condition
from harness.errors import HarnessError
from harness.sweeping.storage import open_studies
from harness.sweeping.study import Study, open_study
from harness.sweeping.trial import Objective, RequirementError, Trial, TrialEnd
from tests.sweeping.small import LAYERS, PACE, RATE, make_search, make_study


def _stored(folder: Path) -> list[optuna.trial.FrozenTrial]:
    storage = JournalStorage(JournalFileBackend(str(folder / "s.journal")))
    return optuna.load_study(study_name="s", storage=storage).trials


def _memorising_above(rate: float, tried: list[float]) -> Objective:
    """Lower and lower with the rate, and broken by as much as that is above a limit."""

    def objective(trial: Trial) -> TrialEnd:
        given = float(str(trial.params[RATE.name]))
        tried.append(given)
        if given > rate:
            by = {"text.memorised_run < 20": given / rate - 1}
            raise RequirementError("it breaks sweep.require", value=-given, by=by)
        return TrialEnd(-given)

    return objective


@pytest.mark.parametrize(("sampler", "learns"), [("tpe", True), ("random", False), ("qmc", False), ("cmaes", False)])
def test_a_trial_that_breaks_what_is_required_has_failed_and_tpe_learns_from_it(
    sampler: str, learns: bool, tmp_path: Path
) -> None:
    if sampler == "cmaes":
        pytest.importorskip("cmaes")
    study = make_study(tmp_path, RATE, trials=6, sampler=sampler)
    study.run(_memorising_above(3e-5, []))
    results = study.results()
    assert len(results) == study.total == study.tried == 6
    broken = [result for result in results if result.failure is not None]
    assert broken and {result.value for result in broken} == {None}
    assert {result.failure for result in broken} == {"it breaks sweep.require"}
    stored = _stored(tmp_path)
    told = [trial for trial in stored if trial.constraints]
    assert len(told) == (len(broken) if learns else 0)
    assert all(trial.value is not None and "aside" in trial.user_attrs for trial in told)
    assert [trial.state for trial in stored if "aside" not in trial.user_attrs].count(TrialState.FAIL) == len(broken)
    again = make_study(tmp_path, RATE, trials=8, sampler=sampler)
    again.run(lambda trial: TrialEnd(1.0))
    assert len(again.results()) == 8 and again.results()[:6] == results


def test_tpe_tries_less_of_what_breaks_a_requirement_than_of_what_only_fails(tmp_path: Path) -> None:
    """The nearer to what breaks it the better, over half of the range."""

    def broken(folder: str, wrap: Callable[[Objective], Objective]) -> int:
        tried: list[float] = []
        (tmp_path / folder).mkdir()
        study = make_study(tmp_path / folder, RATE, trials=40)
        study.run(wrap(_memorising_above(1e-4, tried)))
        return sum(rate > 1e-4 for rate in tried[20:])

    def only_failing(objective: Objective) -> Objective:
        def tried(trial: Trial) -> TrialEnd:
            try:
                return objective(trial)
            except RequirementError as error:
                raise HarnessError(str(error)) from error

        return tried

    learned, failed = broken("learned", lambda objective: objective), broken("failed", only_failing)
    assert learned <= 0.75 * failed, f"{learned} of {failed}"


def _constrained(folder: Path, **search: Any) -> Study:
    condition = read_condition("lora.num_layers * train.learning_rate <= 1e-3", [LAYERS.name, RATE.name])
    space = Space([LAYERS, RATE], [], Rules(constraints=[condition]))
    return open_study("s", open_studies(None, folder), space, make_search(**search), PACE)


def test_what_breaks_a_constraint_is_told_by_how_much_and_counts_as_no_trial(tmp_path: Path) -> None:
    study = _constrained(tmp_path, trials=12)
    study.run(lambda trial: TrialEnd(-float(str(trial.params[RATE.name]))))
    assert len(study.results()) == 12 and all(result.failure is None for result in study.results())
    broken = [trial for trial in _stored(tmp_path) if trial.constraints]
    assert broken and all(trial.user_attrs["aside"] == "breaks a constraint" for trial in broken)
    assert all(0 < by <= 1.01 for trial in broken for by in trial.constraints.values())


@pytest.mark.parametrize(
    ("text", "by"),
    [
        ("a.b < 20", 1.0),
        ("a.b <= 30", pytest.approx(0.25, abs=1e-5)),
        ("a.b < 40", pytest.approx(1e-6)),
        ("a.b < 20 and a.b < 30", pytest.approx(0.75, abs=1e-5)),
        ("a.b < 20 or a.b < 30", pytest.approx(0.25, abs=1e-5)),
        ("a.b in [1, 2]", 1.0),
        ("a.b == 40", 0.0),
    ],
)
def test_how_far_a_condition_is_from_true(text: str, by: object) -> None:
    expected = pytest.approx(0.5, abs=1e-5) if text == "a.b < 20" else by
    assert read_condition(text, ["a.b"]).broken_by({"a.b": 40.0}) == expected
