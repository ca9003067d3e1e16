"""Adapters that a judge saw beside the same anchors are compared theme by theme."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from harness.config.objective import VALID_LOSS, WIN_RATE, Objective
from harness.config.schema import TrackingConfig
from harness.console.progress import Display
from harness.models.base import Base
from harness.releasing.checks.subject import Subject
from harness.releasing.choice import Choice
from harness.releasing.gate.contenders import Challenger, Champion, champion_of
from harness.releasing.gate.judged import compare_judged
from harness.releasing.gate.losses import Compared
from harness.releasing.promotion import NotPromotedError, promote
from harness.tracking.candidates import of_run
from harness.tracking.queries import get
from harness.tracking.registry import register, set_alias
from harness.tracking.run_state import RunState
from harness.tracking.runs import TrackedRun
from harness.tracking.store import Store
from tests.releasing.conftest import Train
from tests.releasing.gates import quick_terms

THEMES = "河海山风雨雪"
Compare = Callable[[str, Champion, Objective], Compared | None]


def _judge(store: Store, run_id: str, beaten: Sequence[int], themes: str = THEMES) -> None:
    """As its run keeps what a judge said of a text a theme beside three anchors; `beaten`: so many of them."""
    with TrackedRun.resume(store, store.runs / run_id) as run:
        rows = [
            {
                "theme": theme,
                "ranking": " > ".join([*["anchor"] * (3 - count), "adapter", *["anchor"] * count]),
                "unscored": "",
                "kind": "anchor",
                "judge": "first",
            }
            for theme, count in zip(themes, beaten, strict=True)
        ]
        run.table([*rows, rows[0] | {"judge": "second", "ranking": "anchor > adapter > anchor"}], "verdicts.json")
        rate = sum(beaten) / 3 / len(beaten)
        run.checkpoint_metrics(max(run.checkpoints), {WIN_RATE.name: rate})
        run.metrics(max(run.checkpoints), {WIN_RATE.name: rate})
        assert run.finish(RunState.FINISHED) == 0, run.trouble


@pytest.fixture(scope="module")
def judged(store: Store, train: Train, tested: Path) -> Sequence[str]:
    """Three runs: fair, good and good by luck on two themes alone."""
    words = ["name=judged", f"data.path={tested}", "train.save_every=6", "train.steps_per_eval=6"]
    runs = [train(*words, f"train.iters={iters}") for iters in (6, 5, 4)]
    for run_id, beaten in zip(runs, ([1, 2, 1, 2, 1, 1], [3, 3, 3, 3, 2, 3], [3, 3, 1, 1, 1, 1]), strict=True):
        _judge(store, run_id, beaten)
    return runs


@pytest.fixture
def compare(store: Store, base: Base) -> Compare:
    """A run's checkpoint with a champion."""

    def run(run_id: str, champion: Champion, by: Objective) -> Compared | None:
        among = of_run(store, get(store, run_id), by).best
        challenger = Challenger(checkpoint=among[0], among=among, by=by)
        subject = Subject(base=base, adapter=challenger.files(store), ancestry=None, display=Display(silent=True))
        return compare_judged(store, challenger, champion, subject)

    return run


def _champion(store: Store, run_id: str, name: str) -> Champion:
    best = of_run(store, get(store, run_id)).best[0]
    set_alias(store, name, "champion", register(store, best, name).number)
    return champion_of(store, name, "champion")


def test_the_same_themes_are_compared_in_pairs(store: Store, judged: Sequence[str], compare: Compare) -> None:
    fair, good, _ = judged
    found = compare(good, _champion(store, fair, "fair"), VALID_LOSS)
    assert found is not None and found.on == "6 themes"
    assert found.gain.mean == pytest.approx(9 / 18) and found.gain.before == pytest.approx(1 - 8 / 18)
    back = compare(fair, _champion(store, good, "fair-back"), VALID_LOSS)
    assert back is not None and back.gain.mean == pytest.approx(-9 / 18)


def test_where_the_anchors_are_the_bases_own_texts_the_base_wins_half(judged: Sequence[str], compare: Compare) -> None:
    found = compare(judged[1], Champion(name="nobody", alias="champion"), WIN_RATE)
    assert found is not None and found.gain.mean == pytest.approx(17 / 18 - 0.5)


def test_a_champion_that_was_not_judged_or_asked_otherwise_is_not_compared(
    store: Store, train: Train, tested: Path, judged: Sequence[str], compare: Compare
) -> None:
    words = ["name=judged", f"data.path={tested}", "train.iters=3"]
    unjudged, otherwise = train(*words), train(*words, "generate.temperature=0.1")
    _judge(store, otherwise, [1] * 6)
    for number, run_id in enumerate((unjudged, otherwise)):
        assert compare(judged[1], _champion(store, run_id, f"otherwise-{number}"), WIN_RATE) is None


def test_where_the_judge_chose_it_decides_and_a_higher_loss_is_only_said(
    store: Store, judged: Sequence[str], capsys: pytest.CaptureFixture[str]
) -> None:
    fair, good, lucky = judged
    _champion(store, fair, "by-judge")
    tracking, terms = TrackingConfig(uri=store.uri), quick_terms("gate.threshold=0.9")
    promote(tracking, Choice(run=good, metric=WIN_RATE.name), terms, name="by-judge", alias="champion")
    said = capsys.readouterr().out
    assert "comparison: passed: worse than models:/by-judge@champion (version 1)" in said
    assert "; the judge decides" in said and "judged: passed: better than" in said
    _champion(store, fair, "by-luck")
    with pytest.raises(NotPromotedError, match="not promoted: judged: better than .* is noise"):
        promote(tracking, Choice(run=lucky, metric=WIN_RATE.name), quick_terms(), name="by-luck", alias="champion")


def test_where_the_loss_chose_the_judge_must_not_find_it_worse(
    store: Store, train: Train, tested: Path, judged: Sequence[str]
) -> None:
    _, good, _ = judged
    poor = train("name=judged", f"data.path={tested}", "train.iters=9")
    _judge(store, poor, [0, 1, 0, 1, 0, 0])
    _champion(store, good, "no-worse")
    with pytest.raises(NotPromotedError, match="not promoted: judged: worse than .* more than noise"):
        promote(TrackingConfig(uri=store.uri), Choice(run=poor), quick_terms(), name="no-worse", alias="champion")
