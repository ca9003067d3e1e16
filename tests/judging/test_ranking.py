"""A judge with known preferences and noise is recovered, its habits included."""

import dataclasses
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import kendalltau

from harness.judging.agreement import between_judges, with_people
from harness.judging.anchors import ANCHOR, anchored_blocks, win_rate
from harness.judging.blocks import Candidate, Designer
from harness.judging.contest import Contest, hold, planned_calls
from harness.judging.plackett_luce import Ranked
from harness.judging.ranking import rank
from harness.judging.verdicts import Verdict, VerdictKind
from harness.llm.spending import Limits, Spending
from tests.judge_server import Habits
from tests.judging.served import work

_NAMES = tuple(f"a{number}" for number in range(8))


def _entries(
    worth: dict[str, float], themes: int, variants: int = 1, *, seed: int = 0, spread: float = 0.0
) -> list[Candidate]:
    """Texts that say what they are worth; longer ones by chance."""
    rng = np.random.default_rng(seed)
    entries = []
    for variant in range(variants):
        for theme in range(themes):
            for adapter, value in worth.items():
                words = int(rng.integers(5, 60))
                own = value + spread * rng.normal()
                text = f"{adapter} {theme} {variant} worth {own:.3f} " + "word " * words
                entries.append(
                    Candidate(f"{adapter}-{theme}-{variant}", adapter, f"t{theme}", f"v{variant}", text, words)
                )
    return entries


def _hold(habits: Habits, folder: Path, entries: Sequence[Candidate], **values: Any) -> tuple[Contest, Spending]:
    limits = values.pop("limits", None)
    settings: dict[str, Any] = {"block": 5, "seed": 1} | values
    found: tuple[Contest, Spending] = work(habits, folder, lambda judges: hold(judges, entries, **settings), limits)
    return found


def drawn(
    truth: np.ndarray[Any, Any], first: float, length: float, *, seed: int, themes: int = 30, luck: int = 0
) -> list[Ranked]:
    """Rankings as a judge of known preferences would give them, in designed blocks. `luck`: the judge's own."""
    rng = np.random.default_rng([seed, luck] if luck else seed)
    names = [f"a{number}" for number in range(len(truth))]
    entries = _entries(dict(zip(names, truth.tolist(), strict=True)), themes, seed=seed)
    ranked = []
    for block in Designer(5, seed).deal(entries):
        strength = [
            truth[names.index(entry.adapter)] + length * np.log(1 + entry.length) + first * (place == 0) + rng.gumbel()
            for place, entry in enumerate(block.entries)
        ]
        adapters = [entry.adapter for entry in block.entries]
        order = np.argsort(-np.array(strength)).tolist()
        ranked.append(Ranked(block.theme, adapters, [entry.length for entry in block.entries], order))
    return ranked


def test_known_preferences_are_within_the_intervals_and_so_are_position_and_length() -> None:
    truth = np.linspace(-1.2, 1.2, 8)
    inside, places, lengths = [], [], []
    for seed in range(12):
        standings = rank(drawn(truth, 0.8, 0.4, seed=seed), [f"a{n}" for n in range(8)], seed=seed)
        by_name = {rating.adapter: rating for rating in standings.ratings}
        inside += [by_name[f"a{n}"].low <= truth[n] <= by_name[f"a{n}"].high for n in range(8)]
        places.append((standings.first_place.value - 0.8) / standings.first_place.stderr)
        lengths.append((standings.length.value - 0.4) / standings.length.stderr)
    assert np.mean(inside) >= 0.85
    for off in (places, lengths):
        assert abs(np.mean(off)) < 1 and np.abs(off).max() < 4


def test_who_wins_a_few_times_of_a_few_is_not_told_apart_for_certain() -> None:
    """No sample of five wins has a loss in it: the spread of samples alone would be certain."""
    won = [Ranked(f"t{n}", ["a", "b", "c"], [5, 5, 5], [0, 1, 2] if n % 2 else [0, 2, 1]) for n in range(5)]
    rotated = [Ranked(r.theme, r.adapters[n % 3 :] + r.adapters[: n % 3], r.lengths, []) for n, r in enumerate(won)]
    verdicts = [
        dataclasses.replace(turned, order=[turned.adapters.index(was.adapters[place]) for place in was.order])
        for turned, was in zip(rotated, won, strict=True)
    ]
    few = rank(verdicts, ["a", "b", "c"], seed=0)
    assert few.ratings[0].adapter == "a" and few.open == {"a", "b", "c"}
    many = rank(
        [dataclasses.replace(v, theme=f"{v.theme}{n}") for n in range(8) for v in verdicts], list("abc"), seed=0
    )
    assert many.open == {"b", "c"}


def test_of_worlds_of_equals_hardly_one_is_split() -> None:
    """With a test for each pair, eight equals made several groups in a third of the worlds."""
    names = [f"a{n}" for n in range(8)]
    found = [rank(drawn(np.zeros(8), 0.8, 0.4, seed=seed), names, seed=seed) for seed in range(60)]
    assert sum(max(rating.tie for rating in standings.ratings) > 1 for standings in found) <= 6
    assert sum(len(standings.open) < 8 for standings in found) <= 6
    inside = [rating.low <= 0 <= rating.high for standings in found for rating in standings.ratings]
    assert 0.92 <= np.mean(inside) <= 0.99


def test_groups_hang_on_the_verdicts_alone_and_not_on_the_seed() -> None:
    verdicts = drawn(np.linspace(-1.2, 1.2, 8), 0.8, 0.4, seed=3)
    ties = [[r.tie for r in rank(verdicts, [f"a{n}" for n in range(8)], seed=seed).ratings] for seed in range(4)]
    assert ties[0][-1] > 1 and ties == [ties[0]] * 4


def test_a_ranking_says_how_often_each_comes_to_each_place() -> None:
    truth = np.array([2.0, 0.0, 0.0, -2.0])
    ratings = {each.adapter: each for each in rank(drawn(truth, 0.8, 0.4, seed=3), list(_NAMES[:4]), seed=3).ratings}
    shares = np.array([ratings[name].places for name in _NAMES[:4]])
    assert shares.sum(axis=0) == pytest.approx(1) and shares.sum(axis=1) == pytest.approx(1)
    assert ratings["a0"].first > 0.98 and ratings["a3"].places[-1] > 0.98
    assert all(0.02 < ratings[name].places[1] < 0.98 for name in ("a1", "a2"))
    assert ratings["a1"].first == ratings["a1"].places[0]


def test_equals_come_first_about_as_often() -> None:
    found = [rank(drawn(np.zeros(2), 0.8, 0.4, seed=seed), list(_NAMES[:2]), seed=seed) for seed in range(12)]
    firsts = [{each.adapter: each.first for each in standings.ratings}["a0"] for standings in found]
    assert 0.2 < np.mean(firsts) < 0.8 and sum(0.02 < first < 0.98 for first in firsts) >= 10


@pytest.mark.parametrize("verdicts", [1, 2])
def test_a_single_verdict_tells_nobody_apart(verdicts: int) -> None:
    found = rank([Ranked("t", ["a", "b"], [5, 5], [0, 1])] * verdicts, ["a", "b"], seed=0)
    assert found.open == {"a", "b"} and all(rating.low < 0 < rating.high for rating in found.ratings)


def test_a_judge_behind_an_endpoint_is_recovered_through_the_whole_contest(tmp_path: Path) -> None:
    worth = {"a": 1.5, "b": 0.75, "c": 0.0, "d": -0.75, "e": -1.5}
    contest, _ = _hold(Habits(first_place=1.0), tmp_path, _entries(worth, 30), adaptive=False)
    assert contest.standings is not None
    values = {rating.adapter: rating.value for rating in contest.standings.ratings}
    assert kendalltau(list(worth.values()), [values[name] for name in worth])[0] == pytest.approx(1)
    first = contest.standings.first_place
    assert abs(first.value - 1.0) < 3 * first.stderr
    assert all(rating.low <= worth[rating.adapter] <= rating.high for rating in contest.standings.ratings)


def test_equal_adapters_tie_and_different_ones_do_not(tmp_path: Path) -> None:
    contest, _ = _hold(Habits(), tmp_path, _entries({"a": 2.0, "b": 2.0, "c": -2.0}, 20), block=3)
    assert contest.standings is not None
    ties = {rating.adapter: rating.tie for rating in contest.standings.ratings}
    assert ties == {"a": 1, "b": 1, "c": 2}
    assert [set(pair) for pair in contest.standings.undecided] == [{"a", "b"}]


def test_further_calls_go_only_to_those_that_are_undecided(tmp_path: Path) -> None:
    entries = _entries({"a": 3.0, "b": 0.05, "c": 0.0, "d": -3.0}, 30, variants=2)
    contest, _ = _hold(Habits(), tmp_path, entries, block=4)
    later = [verdict for verdict in contest.verdicts if not verdict.ids[0].endswith("-0")]
    assert later and {adapter for verdict in later for adapter in verdict.adapters} == {"b", "c"}
    assert len(contest.verdicts) == 60 == planned_calls(entries, 4, 1)[1]
    decided, _ = _hold(Habits(noise=0.1), tmp_path, _entries({"a": 4.0, "b": -4.0}, 20, variants=3))
    assert decided.ended == "the order is decided" and len(decided.verdicts) == 20


def test_a_spent_budget_leaves_a_ranking_of_what_was_judged(tmp_path: Path) -> None:
    contest, spending = _hold(
        Habits(), tmp_path, _entries({"a": 1.0, "b": 0.0, "c": -1.0}, 20), block=3, limits=Limits(calls=8)
    )
    assert spending.calls == 8 and len(contest.verdicts) == 8 and contest.standings is not None
    assert contest.ended == "the budget of judge.max_calls=8 is spent"


def test_where_nothing_can_be_read_there_is_no_ranking(tmp_path: Path) -> None:
    contest, _ = _hold(Habits(always="prose"), tmp_path, _entries({"a": 1.0, "b": 0.0}, 4))
    assert contest.standings is None and len(contest.verdicts) == 4
    assert all(verdict.unscored for verdict in contest.verdicts)


def test_blocks_are_blind_balanced_and_of_different_adapters() -> None:
    entries = _entries({f"a{n}": 0.0 for n in range(12)}, 30)
    blocks = Designer(6, 3).deal(entries)
    assert len(blocks) == 60
    stood = Counter((entry.adapter, place) for block in blocks for place, entry in enumerate(block.entries))
    met = Counter(
        tuple(sorted((one.adapter, other.adapter)))
        for block in blocks
        for place, one in enumerate(block.entries)
        for other in block.entries[:place]
    )
    for block in blocks:
        assert len({entry.adapter for entry in block.entries}) == len(block.entries) == 6
        assert {entry.theme for entry in block.entries} == {block.theme}
    assert max(stood.values()) - min(stood[f"a{n}", p] for n in range(12) for p in range(6)) <= 4
    assert max(met.values()) - min(met.values()) <= 6
    assert Designer(6, 3).deal(entries) == blocks != Designer(6, 4).deal(entries)


@pytest.mark.parametrize(("adapters", "sizes"), [(2, [2]), (7, [4, 3]), (13, [5, 4, 4]), (6, [6])])
def test_blocks_are_of_nearly_the_same_size(adapters: int, sizes: list[int]) -> None:
    blocks = Designer(6, 0).deal(_entries({f"a{n}": 0.0 for n in range(adapters)}, 1))
    assert [len(block.entries) for block in blocks] == sizes


def _anchored(habits: Habits, folder: Path, worth: float, themes: int = 12, report: Any = None) -> Any:
    anchors: dict[str, list[Candidate]] = {}
    for entry in _entries({"x": 1.0, "y": 0.0, "z": -1.0}, themes, seed=9):
        anchors.setdefault(entry.theme, []).append(dataclasses.replace(entry, adapter=ANCHOR))
    blocks = anchored_blocks(_entries({"ours": worth}, themes), anchors, seed=0)
    more = {} if report is None else {"report": report}
    return work(habits, folder, lambda judges: win_rate(judges, blocks, at_once=4, **more))[0]


def test_the_share_of_anchors_beaten_follows_what_texts_are_worth(tmp_path: Path) -> None:
    rates = [_anchored(Habits(noise=0.5), tmp_path, worth).rate for worth in (-3.0, 0.0, 3.0)]
    values = [rate.value for rate in rates]
    assert values[0] < 0.15 and 0.3 < values[1] < 0.7 and values[2] > 0.85
    assert all(len(rate.by_theme) == 12 and rate.stderr is not None for rate in rates)


def test_every_run_is_judged_in_the_same_places(tmp_path: Path) -> None:
    one, other = (_anchored(Habits(), tmp_path, worth).verdicts for worth in (0.0, 1.0))
    assert [v.adapters.index("ours") for v in one] == [v.adapters.index("ours") for v in other]


def test_themes_are_reported_in_order_so_that_a_pruner_can_end_it(tmp_path: Path) -> None:
    told: list[tuple[int, float]] = []

    def report(number: int, lost: float) -> bool:
        told.append((number, lost))
        return number == 5

    found = _anchored(Habits(), tmp_path, -3.0, report=report)
    assert [number for number, _ in told] == [1, 2, 3, 4, 5] and found.pruned
    assert len(found.verdicts) == 8  # two lots of four, not twelve


def test_too_few_readable_verdicts_are_no_score(tmp_path: Path) -> None:
    found = _anchored(Habits(always="prose"), tmp_path, 0.0)
    assert found.rate.value is None and found.rate.stderr is None and found.rate.unscored == 12


def _verdict(judge: str, ids: list[str], order: list[int]) -> Verdict:
    return Verdict(
        judge=judge, kind=VerdictKind.RANKING, theme="t", ids=ids, adapters=ids, lengths=[1] * len(ids), order=order
    )


def test_two_judges_that_agree_have_an_alpha_of_one_and_chance_one_near_nought() -> None:
    rng = np.random.default_rng(0)
    orders = [rng.permutation(5).tolist() for _ in range(60)]
    ids = [[f"{n}{m}" for m in range(5)] for n in range(60)]
    same = [_verdict(judge, each, order) for judge in "ab" for each, order in zip(ids, orders, strict=True)]
    chance = [_verdict("a", each, order) for each, order in zip(ids, orders, strict=True)]
    chance += [_verdict("b", each, rng.permutation(5).tolist()) for each in ids]
    agreeing, differing = between_judges(same), between_judges(chance)
    assert agreeing is not None and agreeing.value == pytest.approx(1) and not agreeing.low
    assert differing is not None and abs(differing.value) < 0.2 and "low, so trust no order" in differing.said
    assert between_judges(same[:60]) is None


def test_agreement_with_people_is_over_pairs_that_they_decided_differently() -> None:
    verdicts = [_verdict("a", [f"{n}x", f"{n}y", f"{n}z"], [0, 1, 2]) for n in range(10)]
    right = {f"{n}{each}": said for n in range(10) for each, said in (("x", "accept"), ("y", "skip"), ("z", "delete"))}
    found = with_people(verdicts, right)
    assert found is not None and (found.value, found.pairs, found.low) == (1, 10, False)
    wrong = {**right, **{f"{n}x": "delete" for n in range(10)}, **{f"{n}z": "edit" for n in range(10)}}
    assert (against := with_people(verdicts, wrong)) is not None and against.low
    assert with_people(verdicts[:5], right) is None
