"""A round's steps are commands that a user could type."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from harness.config.overrides import prepare
from harness.config.schema import Config, GenerateCommand, JudgeCommand, PrepareCommand
from harness.errors import HarnessError
from harness.rounds import steps
from harness.rounds.figures import figures_of
from harness.rounds.source import Champion
from harness.rounds.state import Round, Settings, Step
from harness.tracking.queries import Finished
from harness.tracking.run_state import RunState

SWEPT = ["-m", "model=tiny", "sweep.keep=3", "lora.rank=2,4", "data.path=old", "train.init_adapter=runs:/x"]
TRIAL = ["model=tiny", "sweep.workers=0", "lora.rank=4", "data.path=old", "++train.optimizer_args.betas=[0.9,0.95]"]
JUDGED = Settings(judge=["judge=poetry", "judge.model=m"])


@pytest.fixture
def champion(tmp_path: Path) -> Champion:
    (tmp_path / "train.jsonl").write_text(json.dumps({"text": "a"}), "utf-8")
    params = {"data.path": str(tmp_path), "model.path": "builtin:tiny", "data.system": "None"}
    run = Finished(
        run_id="r1", experiment_id="1", name="r", status=RunState.FINISHED, metrics={}, tags={}, params=params
    )
    return Champion(
        run=run,
        step=6,
        label="valid/loss",
        score=1.0,
        valid="v",
        train=None,
        alone=False,
        varied=frozenset({"lora.rank"}),
        sweep_words=SWEPT,
        run_words=TRIAL,
    )


@pytest.fixture
def current(tmp_path: Path) -> Round:
    return Round(number=1, sweep="s1", folder=tmp_path / "1")


def test_the_next_sweep_is_the_last_one_on_the_new_lines(champion: Champion, current: Round) -> None:
    words = steps.train(current, Settings(), champion).words
    assert words == ["-m", "model=tiny", "sweep.keep=3", "lora.rank=2,4", f"data.path={current.data}"]


def test_or_what_is_to_vary_around_the_champion_and_its_weights(champion: Champion, current: Round) -> None:
    settings = Settings(vary=["lora.rank=8,16"], from_weights=False)
    words = steps.train(current, settings, champion).words
    assert words == ["-m", "model=tiny", TRIAL[-1], "sweep.keep=3", "lora.rank=8,16", f"data.path={current.data}"]
    rates = replace(settings, vary=["train.learning_rate=1e-5,3e-5"], from_weights=True)
    steps.check(rates, champion)
    assert steps.train(current, rates, champion).words[-1] == "train.init_adapter=runs:/r1"


def test_where_labels_choose_the_lines_those_that_were_kept_are_among_them(champion: Champion, current: Round) -> None:
    run = replace(champion.run, params=champion.run.params | {"data.labels": "good,edited"})
    labelled = replace(champion, run=run, sweep_words=[*SWEPT, "data.labels=[good,edited]"])
    assert steps.train(current, Settings(), labelled).words[-2:] == [
        f"data.path={current.data}",
        "data.labels=[good,edited,accepted]",
    ]


@pytest.mark.parametrize("vary", [None, ["lora.num_layers=2,4"]])
def test_weights_that_would_not_fit_are_refused_before_anybody_works(champion: Champion, vary: list[str]) -> None:
    with pytest.raises(HarnessError, match="--from-weights needs the champion's own lora.*; say --vary"):
        steps.check(Settings(vary=vary, from_weights=True), champion)


def test_a_name_to_vary_that_is_none_is_said_before_anybody_works(champion: Champion) -> None:
    with pytest.raises(HarnessError, match=r"lora.rnk .*lora.rank"):
        steps.check(Settings(vary=["lora.rnk=2,4"]), champion)


def test_a_ranking_has_the_base_beside_a_single_trial(champion: Champion, current: Round) -> None:
    assert steps.generate(current, JUDGED, champion).words[0] == "adapters=sweeps:/s1"
    alone = replace(champion, alone=True)
    assert steps.generate(current, JUDGED, alone).words[0] == "adapters=[none,sweeps:/s1]"
    assert steps.generate(current, Settings(), alone).words[0] == "adapters=sweeps:/s1"
    named = Settings(write=["adapters=models:/poet@champion"])
    assert steps.generate(current, named, champion).words[0] == named.write[0]


def test_new_lines_have_the_form_and_the_system_prompt_of_the_old_ones(champion: Champion, current: Round) -> None:
    words = steps.prepare_data(current, Settings(), champion).words
    assert {"source.format=text", "data.system=null", "model.path=builtin:tiny", "source.test=0"} <= set(words)
    (champion.data / "test.jsonl").touch()
    assert "source.test=0" not in steps.prepare_data(current, Settings(), champion).words


def test_each_command_takes_its_words(champion: Champion, current: Round) -> None:
    made = {
        GenerateCommand: steps.generate(current, JUDGED, champion),
        JudgeCommand: steps.judge(current, JUDGED, champion),
        PrepareCommand: steps.prepare_data(current, JUDGED, champion),
        Config: steps.train(current, JUDGED, champion),
    }
    for command, step in made.items():
        assert len(prepare(step.words, command)) == len(step.words)


def test_a_round_whose_samples_are_gone_still_has_its_figures(champion: Champion, current: Round) -> None:
    figures = figures_of(replace(current, done=(Step.GENERATE,)), champion)
    assert figures.texts is None and figures.accepted == 0
