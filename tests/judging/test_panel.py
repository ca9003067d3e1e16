"""Several judges of one panel: what they agree on is found, what is one judge's own stays its own."""

from typing import Any

import numpy as np
import pytest

from harness.judging.plackett_luce import Ranked
from harness.judging.ranking import Standings, rank
from tests.judging.test_ranking import drawn

ADAPTERS = [f"a{number}" for number in range(6)]
TRUTH = np.linspace(-1.0, 1.0, 6)
FAMILIES = {"one": "kin", "two": "kin"}


def _verdicts(judges: dict[str, float], *, seed: int = 0, taste: float = 0.2, themes: int = 20) -> list[Ranked]:
    """Of judges that follow the truth so far, each with a taste, a place and a length that it likes by itself."""
    rng = np.random.default_rng(seed)
    found = []
    for number, (judge, follows) in enumerate(judges.items()):
        own = follows * TRUTH + taste * rng.normal(size=len(TRUTH))
        own_habits: dict[str, Any] = {"first": 0.4 * number, "length": 0.3 * number, "luck": number}
        found += [_by(judge, each) for each in drawn(own, **own_habits, seed=seed, themes=themes)]
    return found


def _by(judge: str, ranked: Ranked) -> Ranked:
    return Ranked(ranked.theme, ranked.adapters, ranked.lengths, ranked.order, judge)


def _ranked(judges: dict[str, float], **values: Any) -> Standings:
    return rank(_verdicts(judges, **values), ADAPTERS, seed=0, families=FAMILIES)


def test_what_a_panel_agrees_on_is_within_its_intervals_whoever_else_sits_in_it() -> None:
    """Ten small worlds of three judges that read, one that guesses and one that orders the other way round."""
    judges = {"one": 1.0, "two": 1.0, "three": 1.0, "guesses": 0.0, "reversed": -1.0}
    inside, odd = [], []
    for seed in range(10):
        found = _ranked(judges, seed=seed)
        by_name = {each.adapter: each for each in found.ratings}
        inside += [by_name[name].low <= TRUTH[n] <= by_name[name].high for n, name in enumerate(ADAPTERS)]
        odd.append(min(found.left_out, key=lambda each: each.like_the_rest).who)
        weights = {each.judge: each.weight for each in found.panel}
        assert weights["reversed"] < 0.1 and weights["guesses"] < min(weights[name] for name in ("one", "two", "three"))
        assert sum(weights.values()) == pytest.approx(1)
    assert np.mean(inside) >= 0.85 and odd.count("reversed") >= 9


def test_each_judge_has_its_own_place_and_length() -> None:
    found = _ranked({"one": 1.0, "two": 1.0, "three": 1.0}, themes=60)
    for number, judge in enumerate(found.panel):
        assert abs(judge.first_place.value - 0.4 * number) < 3.5 * judge.first_place.stderr
        assert abs(judge.length.value - 0.3 * number) < 3.5 * judge.length.stderr
        assert judge.verdicts == 120


def test_judges_of_other_tastes_make_the_ratings_less_sure() -> None:
    alike, other = (_ranked({"one": 1.0, "two": 1.0, "three": 1.0}, taste=taste) for taste in (0.0, 0.8))
    assert other.taste > alike.taste + 0.3
    assert np.mean([each.stderr for each in other.ratings]) > 1.3 * np.mean([each.stderr for each in alike.ratings])


def test_of_two_judges_that_contradict_each_other_neither_is_believed() -> None:
    found = _ranked({"one": 1.0, "reversed": -1.0}, taste=0.0)
    assert found.open == set(ADAPTERS) and {each.weight for each in found.panel} != {0.0, 1.0}
    assert max(each.first for each in found.ratings) < 0.6


def test_the_ranking_without_a_judge_and_without_a_family_is_told() -> None:
    found = _ranked({"one": 1.0, "two": 1.0, "three": 1.0, "four": 1.0})
    assert [(each.who, each.family) for each in found.left_out] == [
        *((judge, False) for judge in ("one", "two", "three", "four")),
        ("kin", True),
    ]
    without = _ranked({"one": 1.0, "two": 1.0, "three": 1.0, "four": 1.0}).left_out[-1]
    assert without.order[0] == "a5" and set(without.order) == set(ADAPTERS) and without.changed < 0.3
    assert _ranked({"one": 1.0}).left_out == []


def test_a_single_judge_is_ranked_as_it_was_before_there_were_panels() -> None:
    named, unnamed = _ranked({"one": 1.0}), rank([_by("", each) for each in _verdicts({"one": 1.0})], ADAPTERS, seed=0)
    assert named.ratings == unnamed.ratings and named.taste == 0 and named.panel[0].weight == 1
    best = named.ratings[0]
    assert (best.value, best.stderr) == pytest.approx((0.7197, 0.3420), abs=2e-4) and best.adapter == "a5"
    assert named.first_place == named.panel[0].first_place
    assert named.first_place.value == pytest.approx(0.4342, abs=2e-4)
