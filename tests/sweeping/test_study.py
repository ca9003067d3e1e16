"""Every combination once, whatever becomes of one of them."""

from pathlib import Path

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from harness.config.axes import Axis, read_space
from harness.errors import HarnessError
from harness.sweeping.study import Trial, combinations, run_study

RANK = Axis("lora.rank", [4, 8], ["4", "8"])
SCALE = Axis("lora.scale", [1.0, 2.0, 3.0], ["1.0", "2.0", "3.0"])


def _stored(folder: Path) -> optuna.Study:
    storage = JournalStorage(JournalFileBackend(str(folder / "s.journal")))
    return optuna.load_study(study_name="s", storage=storage)


def test_every_combination_is_tried_once(tmp_path: Path) -> None:
    seen = []

    def objective(trial: Trial) -> float:
        seen.append(trial.params)
        return float(trial.number)

    results = run_study("s", tmp_path, [RANK, SCALE], objective, settings={})
    assert seen == list(combinations([RANK, SCALE])) and len(seen) == 6
    assert [result.value for result in results] == [0, 1, 2, 3, 4, 5]
    assert _stored(tmp_path).best_params == {"lora.rank": 4, "lora.scale": 1.0}


def test_a_failing_trial_does_not_stop_the_others_and_has_no_value(tmp_path: Path) -> None:
    def objective(trial: Trial) -> float:
        if trial.params["lora.rank"] == 4:
            raise HarnessError("too small")
        return 1.0

    results = run_study("s", tmp_path, [RANK], objective, settings={})
    assert [(result.value, result.failure) for result in results] == [(None, "too small"), (1.0, None)]
    failed = _stored(tmp_path).trials[0]
    assert (failed.state, failed.user_attrs["failure"]) == (TrialState.FAIL, "too small")


def test_a_trials_own_fault_is_named_by_its_kind(tmp_path: Path) -> None:
    def objective(trial: Trial) -> float:
        raise KeyError("x")

    assert run_study("s", tmp_path, [RANK], objective, settings={})[0].failure == "KeyError: 'x'"


def test_an_interruption_ends_the_study_and_leaves_no_trial_running(tmp_path: Path) -> None:
    def objective(trial: Trial) -> float:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_study("s", tmp_path, [RANK], objective, settings={})
    states = [trial.state for trial in _stored(tmp_path).trials]
    assert TrialState.RUNNING not in states


@pytest.mark.parametrize(
    ("words", "values"),
    [
        ("lora.rank=4,8,16", [4, 8, 16]),
        ("lora.rank=range(4,17,4)", [4, 8, 12, 16]),
        ("lora.rank=choice(4,8)", [4, 8]),
        ("train.grad_checkpoint=true,false", [True, False]),
        ("lora.scale=null,8.5", [None, 8.5]),
        ("lora.keys=[q_proj],[v_proj,q_proj]", ["[q_proj]", "[v_proj,q_proj]"]),
        ("name='河','山'", ["河", "山"]),
        ("model=tiny,qwen2.5-7b-4bit", ["tiny", "qwen2.5-7b-4bit"]),
    ],
)
def test_axes_are_read_in_hydras_syntax(words: str, values: list[object]) -> None:
    space = read_space({}, [words, "train.iters=5"])
    assert space.axes[0].values == values
    assert space.fixed == ["train.iters=5"]


def test_the_command_line_wins_over_the_sweep_file() -> None:
    space = read_space({"lora.rank": "4,8", "lora.scale": "1.0,2.0"}, ["lora.rank=16"])
    assert [axis.name for axis in space.axes] == ["lora.scale"]
    assert space.fixed == ["lora.rank=16"]


def test_a_range_without_steps_is_refused() -> None:
    with pytest.raises(HarnessError, match=r"has no end of values; list them \(lora.scale=1,2,3\)"):
        read_space({}, ["lora.scale=interval(1,4)"])


def test_a_value_given_twice_is_refused() -> None:
    with pytest.raises(HarnessError, match="names a value twice"):
        read_space({}, ["lora.rank=4,4"])
