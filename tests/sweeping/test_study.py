"""Every trial once, whatever becomes of one of them, and of the process that works on it."""

import math
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from harness.config.axes import Axis, Range, Rules, Space, check_search
from harness.config.conditions import read_condition
from harness.config.paths import ROOT
from harness.config.read_axes import read_space
from harness.console.worker_environment import CONTROLLER, DEATHS
from harness.errors import HarnessError
from harness.sweeping.lease import Silences, is_gone, own_lease
from harness.sweeping.listing import ask_to_stop, find_study
from harness.sweeping.siblings import Death, Deaths, Siblings, deaths_kept
from harness.sweeping.storage import open_studies
from harness.sweeping.study import open_study
from harness.sweeping.trial import Trial, TrialEnd
from tests.commands import run_command
from tests.sweeping.small import LAYERS, PACE, RANK, RATE, SCALE, make_search, make_study


def _by(function: Callable[[Trial], float]) -> Callable[[Trial], TrialEnd]:
    return lambda trial: TrialEnd(function(trial))


def _stored(folder: Path) -> optuna.Study:
    storage = JournalStorage(JournalFileBackend(str(folder / "s.journal")))
    return optuna.load_study(study_name="s", storage=storage)


def test_every_combination_is_tried_once(tmp_path: Path) -> None:
    seen = []

    def objective(trial: Trial) -> TrialEnd:
        seen.append(trial.params)
        return TrialEnd(float(trial.number))

    study = make_study(tmp_path, RANK, SCALE)
    study.run(objective)
    assert seen == list(Space([RANK, SCALE], []).combinations()) and len(seen) == study.total == 6
    assert [result.value for result in study.results()] == [0, 1, 2, 3, 4, 5]
    assert _stored(tmp_path).best_params == {"lora.rank": 4, "lora.scale": 1.0}
    again = make_study(tmp_path, RANK, SCALE)
    again.run(objective)
    assert len(seen) == len(again.results()) == 6, "a study that is done stays as it is"


def test_a_failing_trial_does_not_stop_the_others_and_has_no_value(tmp_path: Path) -> None:
    def objective(trial: Trial) -> TrialEnd:
        if trial.params["lora.rank"] == 4:
            raise HarnessError("too small")
        return TrialEnd(1.0)

    study = make_study(tmp_path, RANK)
    study.run(objective)
    assert [(result.value, result.failure) for result in study.results()] == [(None, "too small"), (1.0, None)]
    failed = _stored(tmp_path).trials[0]
    assert (failed.state, failed.user_attrs["failure"]) == (TrialState.FAIL, "too small")


def test_a_trials_own_fault_is_named_by_its_kind(tmp_path: Path) -> None:
    def objective(trial: Trial) -> TrialEnd:
        raise KeyError("x")

    study = make_study(tmp_path, RANK)
    study.run(objective)
    assert study.results()[0].failure == "KeyError: 'x'"


def test_a_trial_that_was_interrupted_is_taken_up_first_and_is_no_death(tmp_path: Path) -> None:
    def interrupted(trial: Trial) -> TrialEnd:
        raise KeyboardInterrupt

    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            make_study(tmp_path, RANK, retries=0).run(interrupted)
    seen = []
    study = make_study(tmp_path, RANK, retries=0)
    study.run(_by(lambda trial: seen.append((trial.number, trial.attempt)) or 1.0))
    assert seen == [(0, 1), (1, 1)] and len(study.results()) == 2


DYING = """
import os, signal, sys
from pathlib import Path
from harness.sweeping.siblings import Siblings
from harness.sweeping.trial import TrialEnd
from tests.sweeping.small import RANK, SCALE, make_study
def objective(trial):
    trial.report(1, 5.0)
    if trial.number == 2 and sys.argv[2] == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    return TrialEnd(float(trial.number))
make_study(Path(sys.argv[1]), RANK, SCALE, retries=1, siblings=Siblings(os.environ)).run(objective)
"""


def _run_dying(folder: Path, end: str, deaths: Deaths) -> None:
    """In a process that this one watches over."""
    environment = os.environ | {CONTROLLER: str(os.getpid()), DEATHS: str(deaths.descriptor)}
    words = [sys.executable, "-c", DYING, str(folder), end]
    with subprocess.Popen(words, env=environment, pass_fds=[deaths.descriptor]) as process:
        assert process.wait() == (-9 if end == "die" else 0)
    deaths.add(Death(process.pid, "SIGKILL" if end == "die" else "exit code 0"))


@pytest.mark.parametrize(("times", "outcome"), [(1, TrialState.COMPLETE), (2, TrialState.FAIL)])
def test_a_trial_whose_process_died_is_taken_up_again_as_often_as_retries_say(
    times: int, outcome: TrialState, tmp_path: Path
) -> None:
    with deaths_kept() as deaths:
        for turn in range(times + 1):
            _run_dying(tmp_path, "die" if turn < times else "live", deaths)
    trials = _stored(tmp_path).trials
    assert [trial.params for trial in trials] == list(Space([RANK, SCALE], []).combinations()), "none lost, none extra"
    assert trials[2].state is outcome
    assert {trial.state for trial in trials if trial.number != 2} == {TrialState.COMPLETE}
    if outcome is TrialState.FAIL:
        how = "its process died 2 times, the last time by SIGKILL (sweep.retries=1)"
        assert trials[2].user_attrs["failure"] == how


def test_what_takes_a_trials_process_and_who_watches_over_it_at_once_is_no_fault_of_the_trial(tmp_path: Path) -> None:
    """A power cut, where sweep.retries allows no death."""
    words = [sys.executable, "-c", DYING, str(tmp_path), "die"]
    with subprocess.Popen(["sleep", "60"]) as watcher:
        environment = os.environ | {CONTROLLER: str(watcher.pid)}
        assert subprocess.run(words, env=environment).returncode == -9
        watcher.kill()
    study = make_study(tmp_path, RANK, SCALE, retries=0)
    study.run(_by(lambda trial: float(trial.attempt)))
    assert [result.value for result in study.results()] == [0, 1, 1, 1, 1, 1]


def test_a_trial_of_a_living_process_is_left_to_it_and_waited_for(tmp_path: Path) -> None:
    seen, other_done = [], threading.Event()

    def other() -> None:  # meanwhile another command of the same study
        def objective(trial: Trial) -> TrialEnd:
            seen.append(trial.number)
            return TrialEnd(2.0)

        study = make_study(tmp_path, RANK)
        study.run(objective, lambda results: other_done.set())
        seen.append(len(study.results()))

    thread = threading.Thread(target=other)

    def objective(trial: Trial) -> TrialEnd:
        thread.start()
        assert other_done.wait(20)
        return TrialEnd(1.0)

    study = make_study(tmp_path, RANK)
    study.run(objective)
    thread.join(20)
    assert seen == [1, 2], "one trial, and then both were done"
    assert [result.value for result in study.results()] == [1.0, 2.0]


def test_a_process_id_that_is_used_again_is_not_trusted() -> None:
    lease = own_lease()
    assert not is_gone(lease)
    assert is_gone(lease | {"started": lease["started"] - 100}) and is_gone(None)


@pytest.mark.parametrize("sampler", ["auto", "random", "tpe", "qmc", "cmaes"])
def test_a_number_of_trials_searches_ranges_and_more_go_on_with_the_same_study(sampler: str, tmp_path: Path) -> None:
    def objective(trial: Trial) -> TrialEnd:
        rate, layers = trial.params["train.learning_rate"], trial.params["lora.num_layers"]
        assert isinstance(rate, float) and 1e-5 <= rate <= 1e-3 and layers in (2, 3, 4)
        return TrialEnd(rate)

    for trials in (4, 7):
        study = make_study(tmp_path, RATE, LAYERS, trials=trials, sampler=sampler)
        study.run(objective)
        assert len(study.results()) == study.total == trials
    rates = [result.value for result in study.results()]
    assert len(set(rates)) == 7, "a study that is gone on with suggests something new"


def test_a_search_tries_no_combination_twice_and_ends_when_there_is_no_other(tmp_path: Path) -> None:
    study = make_study(tmp_path, RANK, SCALE, trials=50, sampler="random")
    seen = []
    study.run(_by(lambda trial: seen.append(tuple(trial.params.values())) or 1.0))
    assert study.total == len(seen) == len(set(seen)) == len(study.results()) == 6


def test_a_trial_that_falls_behind_is_pruned(tmp_path: Path) -> None:
    def objective(trial: Trial) -> TrialEnd:
        for step in (1, 2, 3):
            if trial.report(step, float(trial.number)):
                return TrialEnd(float(trial.number), pruned=True)
        return TrialEnd(float(trial.number))

    study = make_study(tmp_path, RATE, trials=8, sampler="random", pruner="median")
    study.run(objective)
    assert [result.pruned for result in study.results()] == [False] * 5 + [True] * 3


def _curves(trial: Trial) -> TrialEnd:
    """The higher its number, the worse a trial is from the start; it hardly gets better."""
    for step in (1, 2, 3):
        if trial.report(step, trial.number + 1 / step):
            return TrialEnd(trial.number + 1 / step, pruned=True)
    return TrialEnd(float(trial.number))


@pytest.mark.parametrize(
    ("pruner", "arguments", "pruned"),
    [
        ("none", {}, 0),
        ("median", {"n_startup_trials": 2}, 6),
        ("halving", {}, 7),
        ("hyperband", {}, 7),
        ("threshold", {"upper": 5.5}, 3),
        ("patient", {"patience": 1}, 0),
        ("wilcoxon", {"p_threshold": 0.3}, 7),
    ],
)
def test_each_pruner_ends_what_falls_behind(
    pruner: str, arguments: dict[str, Any], pruned: int, tmp_path: Path
) -> None:
    study = make_study(tmp_path, RATE, trials=8, sampler="random", pruner=pruner, pruner_args=arguments)
    study.run(_curves)
    assert sum(result.pruned for result in study.results()) == pruned
    assert not study.results()[0].pruned


def test_the_patient_pruner_ends_a_trial_that_stops_getting_better(tmp_path: Path) -> None:
    def objective(trial: Trial) -> TrialEnd:
        asked = [trial.report(step, value) for step, value in enumerate([3.0, 2.0, 2.1, 2.2, 2.3])]
        return TrialEnd(2.0, pruned=asked.index(True) == 4)

    study = make_study(tmp_path, RATE, trials=1, sampler="random", pruner="patient", pruner_args={"patience": 2})
    study.run(objective)
    assert [result.pruned for result in study.results()] == [True]


@pytest.mark.parametrize(
    ("search", "complaint"),
    [
        ({"pruner": "median", "pruner_args": {"n_startup": 2}}, "did you mean n_startup_trials?; it takes n_startup"),
        ({"pruner": "none", "pruner_args": {"x": 2}}, "sweep.pruner_args.x is not for sweep.pruner=none"),
        ({"pruner": "threshold"}, "needs the loss to prune above, such as sweep.pruner_args={upper:4.5}"),
        ({"pruner": "halving", "pruner_args": {"reduction_factor": 1}}, "sweep.pruner_args does not fit halving"),
    ],
)
def test_what_a_pruner_does_not_take_is_refused(search: dict[str, Any], complaint: str, tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match=re.escape(complaint)):
        make_study(tmp_path, RATE, trials=2, **search)


def test_what_breaks_a_constraint_is_not_tried_and_counts_as_no_trial(tmp_path: Path) -> None:
    rule = read_condition("lora.num_layers * 2 <= 6", ["lora.num_layers"])
    space = Space([RATE, LAYERS], [], Rules(constraints=[rule]))
    study = open_study("s", open_studies(None, tmp_path), space, make_search(trials=12, sampler="random"), PACE)
    places = []
    study.run(_by(lambda trial: places.append((trial.place, trial.params["lora.num_layers"])) or 1.0))
    assert [place for place, _ in places] == list(range(1, 13)) == [r.trial.place for r in study.results()]
    assert {layers for _, layers in places} == {2, 3}


def test_a_name_is_suggested_only_where_its_condition_holds(tmp_path: Path) -> None:
    rule = read_condition("lora.rank > 4", ["lora.rank"])
    space = Space([RANK, RATE], [], Rules(only_if={"train.learning_rate": rule}))
    study = open_study("s", open_studies(None, tmp_path), space, make_search(trials=6, sampler="tpe"), PACE)
    study.run(_by(lambda trial: 1.0))
    names = {(result.trial.params["lora.rank"], len(result.trial.params)) for result in study.results()}
    assert names == {(4, 1), (8, 2)} and len(study.results()) == 6


def test_a_search_begins_with_what_is_known_and_counts_it_as_no_trial(tmp_path: Path) -> None:
    study = make_study(tmp_path, RATE, trials=3)
    study.add_known({"train.learning_rate": 1e-4}, 2.5, "0" * 32)
    study.run(_by(lambda trial: 3.0))
    assert study.known == 1 and [result.trial.place for result in study.results()] == [1, 2, 3]
    assert _stored(tmp_path).best_value == 2.5


def test_a_value_that_is_not_a_number_is_a_failure(tmp_path: Path) -> None:
    study = make_study(tmp_path, RANK)
    study.run(_by(lambda trial: math.nan if trial.number == 0 else 1.0))
    assert [(result.value, result.failure) for result in study.results()] == [
        (None, "its value is not a number"),
        (1.0, None),
    ]


def test_a_study_that_is_stopped_is_left_at_the_next_report_and_gone_on_with(tmp_path: Path) -> None:
    studies = open_studies(None, tmp_path)

    def objective(trial: Trial) -> TrialEnd:
        trial.report(1, 1.0)
        if trial.stopped():
            raise KeyboardInterrupt
        ask_to_stop(studies, find_study(studies, "p"), None)
        trial.report(2, 1.0)
        assert trial.stopped()
        raise KeyboardInterrupt

    study = make_study(tmp_path, RANK)
    study.set_parent("p1")
    study.set_command(["-m", "lora.rank=4,8"])
    with pytest.raises(KeyboardInterrupt):
        study.run(objective)
    assert find_study(studies, None).state == "stopped" and study.stopped
    assert study.run(objective) == "stopped by harness.sweep", "nobody begins another trial"
    study.unstop()
    assert study.run(_by(lambda trial: float(trial.attempt))) is None
    assert [result.value for result in study.results()] == [1.0, 1.0]
    listed = find_study(studies, "p1")
    assert (listed.state, listed.ended, listed.best, listed.command) == ("done", 2, 1.0, ["-m", "lora.rank=4,8"])


def test_a_trial_that_is_stopped_ends_as_pruned_at_its_next_report(tmp_path: Path) -> None:
    studies = open_studies(None, tmp_path)

    def objective(trial: Trial) -> TrialEnd:
        if trial.place == 1:
            ask_to_stop(studies, find_study(studies, None), 1)
        return TrialEnd(1.0, pruned=trial.report(1, 1.0))

    study = make_study(tmp_path, RANK)
    study.set_parent("p1")
    study.run(objective)
    assert [result.pruned for result in study.results()] == [True, False]
    with pytest.raises(HarnessError, match="trial 1 of p1 is pruned; only one that runs can be stopped"):
        ask_to_stop(studies, find_study(studies, None), 1)
    with pytest.raises(HarnessError, match="sweep p1 has trials 1 to 2, but got 3"):
        ask_to_stop(studies, find_study(studies, None), 3)
    with pytest.raises(HarnessError, match="no sweep x is known here; python -m harness.sweep list shows"):
        find_study(studies, "x")
    with pytest.raises(HarnessError, match="no sweep is known here; there is none yet"):
        find_study(open_studies(None, tmp_path / "none"), None)


def test_no_trial_begins_once_the_budget_is_spent(tmp_path: Path) -> None:
    study = make_study(tmp_path, RANK)
    spent = lambda: "all spent" if study.results() else None  # noqa: E731
    assert study.run(_by(lambda trial: 1.0), may_begin=spent) == "all spent"
    assert len(study.results()) == 1


def test_how_a_process_died_is_told_with_the_trial_it_cost(tmp_path: Path) -> None:
    words = [sys.executable, "-c", DYING, str(tmp_path), "die"]
    with subprocess.Popen(words) as died:
        died.wait()
    with deaths_kept() as deaths:
        death = Death(died.pid, "SIGALRM (it took longer than sweep.trial_minutes)", final=True)
        deaths.add(death)
        siblings = Siblings({DEATHS: str(deaths.descriptor)})
        studies, space = open_studies(None, tmp_path), Space([RANK, SCALE], [])
        study = open_study("s", studies, space, make_search(retries=5), PACE, siblings=siblings)
        study.run(_by(lambda trial: 1.0))
    assert study.results()[2].failure == death.reason, "not taken up again, however many retries there are"


def test_what_is_said_of_deaths_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with deaths_kept() as deaths:
        assert list(tmp_path.iterdir()) == [], "so it cannot be cleaned away while it is needed"
        deaths.add(Death(1, "exit code 0"))
        assert Siblings({DEATHS: str(deaths.descriptor)}).deaths == [Death(1, "exit code 0")]


def test_another_machines_process_is_gone_when_it_is_silent_for_long() -> None:
    silences = Silences(seconds=0.05)
    assert not silences.is_silent(1, beat=1)
    deadline = time.monotonic() + 10
    while not silences.is_silent(1, beat=1):
        assert time.monotonic() < deadline
    assert not silences.is_silent(1, beat=2), "it beats again"


KILLED = """
import os, random, signal, sys, threading
from pathlib import Path
from harness.sweeping.trial import TrialEnd
from tests.sweeping.small import RANK, SCALE, make_study
moment = random.Random(sys.argv[2]).uniform(0.0, 0.012) if sys.argv[2] != "last" else 1000.0
study = make_study(Path(sys.argv[1]), RANK, SCALE, retries=1000)
threading.Timer(moment, os.kill, (os.getpid(), signal.SIGKILL)).start()
def objective(trial):
    for step in range(40):
        trial.report(step, 1.0 / (step + 1))
    return TrialEnd(float(trial.number))
study.run(objective)
os._exit(0)
"""


def test_a_study_killed_at_random_moments_tries_every_combination_once(tmp_path: Path) -> None:
    """Killed while it asks, leases, reports and tells; each time another process goes on."""
    ends = []
    for seed in [*map(str, range(4)), "last"]:
        ended = run_command("-c", KILLED, str(tmp_path), seed, folder=ROOT)
        assert ended.returncode in (0, -9), ended.stderr
        ends.append(ended.returncode)
    trials = _stored(tmp_path).trials
    assert [trial.params for trial in trials] == list(Space([RANK, SCALE], []).combinations())
    assert [trial.value for trial in trials] == [0, 1, 2, 3, 4, 5] and ends.count(-9) >= 2, ends


def test_a_journal_with_half_a_line_is_gone_on_with(tmp_path: Path) -> None:
    study = make_study(tmp_path, RANK)
    with (tmp_path / "s.journal").open("a") as journal:
        journal.write('{"op_code":')
    study.run(_by(lambda trial: 1.0))
    assert len(make_study(tmp_path, RANK).results()) == 2


def test_a_study_of_a_thousand_trials_stays_linear(tmp_path: Path) -> None:
    """The last hundred trials take no more than thrice the work of the first, whatever else runs on the machine."""
    axis = Axis("lora.rank", list(range(1, 1001)), list(map(str, range(1, 1001))))
    study = make_study(tmp_path, axis)
    moments = []
    study.run(_by(lambda trial: moments.append(time.process_time()) or 1.0))
    first, last = moments[100] - moments[0], moments[999] - moments[899]
    assert len(study.results()) == 1000 and last < 3 * first, (first, last)


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
    assert isinstance(space.axes[0], Axis) and space.axes[0].values == values
    assert space.fixed == ["train.iters=5"] and not space.endless


@pytest.mark.parametrize(
    ("words", "range_", "word"),
    [
        ("lora.scale=interval(1,4)", Range("lora.scale", 1, 4, log=False, whole=False), "2.5"),
        ("lora.rank=int(interval(4,16))", Range("lora.rank", 4, 16, log=False, whole=True), "2"),
        ("a.b=tag(log,interval(1e-5,1e-3))", Range("a.b", 1e-5, 1e-3, log=True, whole=False), "2.5"),
        ("a.b=int(tag(log,interval(1,64)))", Range("a.b", 1, 64, log=True, whole=True), "2"),
    ],
)
def test_ranges_are_read_in_hydras_syntax(words: str, range_: Range, word: str) -> None:
    space = read_space({}, [words])
    assert space.axes == [range_] and space.endless
    assert range_.word(2.5) == word


def test_the_command_line_wins_over_the_sweep_file() -> None:
    space = read_space({"lora.rank": "4,8", "lora.scale": "1.0,2.0"}, ["lora.rank=16"])
    assert [axis.name for axis in space.axes] == ["lora.scale"]
    assert space.fixed == ["lora.rank=16"]


@pytest.mark.parametrize(
    ("words", "search", "complaint"),
    [
        ("lora.scale=interval(1,4)", {}, r"lora.scale=interval\(1,4\) has no end of values: say how many trials"),
        ("lora.rank=4,8", {"trials": 3, "sampler": "grid"}, "sweep.sampler=grid tries every combination"),
        ("lora.rank=4,8", {"sampler": "tpe"}, "sweep.sampler=tpe needs a number of trials"),
    ],
)
def test_a_search_that_does_not_fit_what_varies_is_refused(words: str, search: dict[str, Any], complaint: str) -> None:
    with pytest.raises(HarnessError, match=complaint):
        check_search(read_space({}, [words]), make_search(**search))


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("lora.rank=4,4", "names a value twice"),
        ("lora.scale=interval(4,1)", "must go from a lower to a higher value"),
        ("lora.scale=tag(log,interval(0,1))", "must begin above 0"),
    ],
)
def test_what_cannot_be_searched_is_refused(words: str, complaint: str) -> None:
    with pytest.raises(HarnessError, match=complaint):
        read_space({}, [words])
