"""Whole sweeps that end when more trials bring nothing, and that say what to search beyond their edges."""

import html
import shlex
from collections.abc import Sequence

import pytest

from harness.config.read_axes import read_space
from harness.config.schema import Config
from harness.console.progress import Display
from harness.multirun.conclusion import conclude
from harness.multirun.context import Worker
from harness.multirun.report import page
from harness.multirun.sweep import SweepResult, run_sweep
from harness.multirun.trial_run import trial_value
from harness.multirun.widening import widening_said
from harness.sweeping.listing import find_study
from harness.sweeping.storage import open_studies
from harness.sweeping.trial import RequirementError
from harness.tracking.queries import get
from harness.tracking.store import Store
from tests.conftest import QUICK, compose_config

Said = pytest.CaptureFixture[str]
SHORT = ["generate.prompts=[]", "train.iters=2", "train.steps_per_eval=2", "train.save_every=2", "train.valid_rows=10"]


def _configured(store: Store, *words: str) -> Config:
    config: Config = compose_config(*QUICK, *SHORT, f"tracking.uri={store.uri}", *words)
    return config


def _sweep(store: Store, *words: str) -> SweepResult:
    def compose(overrides: Sequence[str]) -> Config:
        return _configured(store, *overrides)

    return run_sweep(read_space({}, words), compose, Display(), Worker(command=["-m", *words]))


def test_a_search_that_brings_no_more_than_the_noise_ends_and_goes_on_when_told(store: Store, capsys: Said) -> None:
    words = ["lora.scale=interval(16,16.01)", "name=stagnant", "sweep.trials=9", "sweep.stagnant_trials=2"]
    swept = _sweep(store, *words, "sweep.stop_when=stagnant")
    said = capsys.readouterr().err
    assert "the last 2 trials brought no more than the noise, so that no others begin" in said
    assert 3 <= len(swept.results) < 9
    assert get(store, swept.sweep_id).status == "FINISHED"
    same = _sweep(store, *words, "sweep.stop_when=stagnant")
    assert (same.sweep_id, len(same.results)) == (swept.sweep_id, len(swept.results))
    done = f"is done: {len(swept.results)} trials, the last of which brought no more than the noise; for more set "
    assert done + "sweep.stop_when=null" in capsys.readouterr().err
    more = _sweep(store, *words, f"sweep.trials={len(swept.results) + 1}", "sweep.stop_when=null")
    assert (more.sweep_id, len(more.results)) == (swept.sweep_id, len(swept.results) + 1)


def test_a_best_at_the_edge_is_said_at_the_end_and_in_the_report_with_a_command_that_works(
    store: Store, capsys: Said
) -> None:
    words = ["train.learning_rate=1e-7,1e-5,1e-3", "name=edge", "sweep.report=false"]
    swept = _sweep(store, *words)
    capsys.readouterr()
    conclude(swept, _configured(store, "name=edge"), Display())
    ended = capsys.readouterr().err
    studies = open_studies(None, store.studies)
    listed = find_study(studies, swept.sweep_id)
    said = widening_said(store, studies, listed)
    assert len(said) == 2 and all(line in ended for line in said)
    assert said[0].startswith("train.learning_rate=0.001 of the best lies at the upper edge of what was searched")
    typed = shlex.split(said[1].removeprefix("To search beyond: "))
    new = "train.learning_rate=1e-07,1e-05,0.001,0.01"
    assert typed == ["python", "-m", "harness.train", "-m", *words[1:], new, "sweep.reuse=store"]
    written = page(store, studies, listed)
    assert all(line in html.unescape(written) for line in said)


def test_what_breaks_a_requirement_has_its_value_and_by_how_much_beside_the_reason(store: Store) -> None:
    required = 'sweep.require=["text/memorised_run < 20", "text/refusals == 0"]'
    config = _configured(store, required)
    totals = {"valid/best_loss": 4.5, "text/memorised_run": 40.0, "text/refusals": 0.0}
    with pytest.raises(RequirementError, match=r"it breaks sweep.require=text/memorised_run < 20: .*is 40") as caught:
        trial_value(config, totals)
    assert caught.value.value == 4.5 and caught.value.by == {"text/memorised_run < 20": pytest.approx(0.5, abs=1e-5)}
    assert trial_value(config, totals | {"text/memorised_run": 3.0}) == 4.5
