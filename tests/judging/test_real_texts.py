"""A judge that goes by the texts alone finds real differences, and a bad one is known by its controls.

The texts are shipped poems and damaged copies of them: the more of a poem is replaced, the worse it is.
"""

import functools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from harness.data.units import units
from harness.judging.anchors import ANCHOR, WinRate, anchored_blocks, win_rate
from harness.judging.blocks import Candidate
from harness.judging.contest import Contest, hold, standings_of
from harness.judging.controls import Controls, check, control_blocks
from tests.graded import POEMS, damaged, shuffled
from tests.judge_server import Habits
from tests.judging.served import work
from tests.rules_judge import rules_judge

THEMES = list(POEMS)[:24]
Write = Callable[[str], str]  # from a poem what an adapter makes of it


def _damaging(share: float, seed: int = 0) -> Write:
    return functools.partial(damaged, share=share, seed=seed)


def _entry(adapter: str, theme: str, write: Write) -> Candidate:
    text = write(POEMS[theme]) or "(nothing)"
    return Candidate(f"{adapter} {theme}", adapter, theme, "base 0", text, len(units(text)))


def _contest(habits: Habits, folder: Path, writers: dict[str, Write], themes: list[str] = THEMES) -> Contest:
    entries = [_entry(adapter, theme, write) for theme in themes for adapter, write in writers.items()]
    found: Contest = work(habits, folder, lambda judges: hold(judges, entries, block=5, seed=1, adaptive=False))[0]
    return found


WRITERS: dict[str, Write] = {
    "nothing": lambda poem: "",
    "shuffled": functools.partial(shuffled, seed=0),
    "half": _damaging(0.5),
    "slip": _damaging(0.1),
    "poem": lambda poem: poem,
}


@pytest.mark.parametrize("first_place", [0.0, 0.5])
def test_real_poems_come_before_damaged_ones_before_shuffled_ones_before_nothing(
    first_place: float, tmp_path: Path
) -> None:
    """What writes nothing is last in every block, which is no taste for length: it was lifted over shuffled poems."""
    contest = _contest(rules_judge(noise=0.2, first_place=first_place), tmp_path, WRITERS)
    assert contest.standings is not None
    assert [rating.adapter for rating in contest.standings.ratings] == list(reversed(WRITERS))
    ties = {rating.adapter: rating.tie for rating in contest.standings.ratings}
    assert ties["poem"] <= ties["slip"] < ties["half"] < ties["shuffled"] <= ties["nothing"]


def test_adapters_that_write_the_same_texts_tie(tmp_path: Path) -> None:
    writers = {"poem": WRITERS["poem"], "one": _damaging(0.2), "other": _damaging(0.2), "half": _damaging(0.5)}
    contest = _contest(rules_judge(), tmp_path, writers)
    assert contest.standings is not None
    ties = {rating.adapter: rating.tie for rating in contest.standings.ratings}
    assert ties == {"poem": 1, "one": 2, "other": 2, "half": 3}
    assert [set(pair) for pair in contest.standings.undecided] == [{"one", "other"}]


def test_intervals_from_a_few_themes_cover_the_rating_from_all(tmp_path: Path) -> None:
    """Six lots of themes: real texts differ between themes, as those of a formula do not."""
    shares = [0.0, 0.1, 0.2, 0.3, 0.4]
    writers = {f"{share}": _damaging(share) for share in shares}
    contest = _contest(rules_judge(noise=0.3, first_place=0.3), tmp_path, writers, list(POEMS)[:120])
    assert contest.standings is not None
    first_place = contest.standings.first_place
    assert first_place.value > 2 * first_place.stderr
    all_of_them = {rating.adapter: rating.value for rating in contest.standings.ratings}
    assert list(all_of_them) == list(writers)
    covered, offs = [], []
    for lot in range(6):
        few = standings_of(contest.verdicts[lot::6], list(writers), seed=0)
        assert few is not None
        covered += [rating.low <= all_of_them[rating.adapter] <= rating.high for rating in few.ratings]
        offs += [(rating.value - all_of_them[rating.adapter]) / rating.stderr for rating in few.ratings]
    assert np.mean(covered) >= 0.85 and 0.4 < np.std(offs) < 1.4


def _win_rate(habits: Habits, folder: Path, write: Write) -> WinRate:
    anchors = {theme: [_entry(ANCHOR, theme, _damaging(0.3, seed)) for seed in (1, 2, 3)] for theme in THEMES[:16]}
    blocks = anchored_blocks([_entry("ours", theme, write) for theme in THEMES[:16]], anchors, seed=0)
    found: WinRate = work(habits, folder, lambda judges: win_rate(judges, blocks, at_once=8))[0].rate
    return found


def test_the_share_of_anchors_beaten_falls_with_the_damage_and_is_half_for_their_like(tmp_path: Path) -> None:
    writers = [WRITERS["poem"], _damaging(0.15), _damaging(0.3), WRITERS["shuffled"]]
    rates = [_win_rate(rules_judge(), tmp_path, write) for write in writers]
    values = [rate.value or 0.0 for rate in rates]
    assert values == sorted(values, reverse=True) and values[0] > 0.95 and values[-1] < 0.05
    like = rates[2]
    assert like.stderr is not None and abs(values[2] - 0.5) < 2.5 * like.stderr


def _controls(habits: Habits, folder: Path) -> Controls:
    entries = [_entry("third", theme, _damaging(0.3)) for theme in THEMES[:8]]
    blocks = control_blocks(entries, POEMS, pairs=8, seed=0)
    found: Controls = work(habits, folder, lambda judges: check(judges[0], blocks))[0][0]
    return found


def test_a_judge_that_reads_passes_every_control(tmp_path: Path) -> None:
    found = _controls(rules_judge(), tmp_path)
    assert (found.shuffled_beaten, found.training_beaten, found.injection) == (1, 0, 0)
    assert found.false_differences == 0 and found.first_place is not None and abs(found.first_place - 0.5) < 0.1
    assert found.doubts == []


@pytest.mark.parametrize("neither", [False, True])
def test_a_judge_that_guesses_is_doubted(neither: bool, tmp_path: Path) -> None:
    """Also where it sees at least that two texts are the same."""
    found = _controls(Habits(neither=neither), tmp_path)
    assert found.shuffled_beaten is not None and 0.2 < found.shuffled_beaten < 0.75
    assert found.false_differences == (0 if neither else 1)
    assert "prefers a text to its own words shuffled in only" in found.doubts[0]


def test_a_judge_that_goes_by_the_place_alone_is_doubted(tmp_path: Path) -> None:
    found = _controls(Habits(noise=0.0, first_place=1.0, neither=False), tmp_path)
    assert (found.first_place, found.shuffled_beaten, found.false_differences) == (1, 0.5, 1)
    assert any("calls the first of two better in 100%" in doubt for doubt in found.doubts)


def test_a_judge_that_reads_and_leans_to_the_first_place_is_not_doubted(tmp_path: Path) -> None:
    """The ranking takes that out."""
    found = _controls(rules_judge(first_place=0.5), tmp_path)
    assert found.shuffled_beaten == 1 and found.doubts == []


def test_a_judge_that_does_as_a_text_says_is_doubted(tmp_path: Path) -> None:
    doubts = _controls(rules_judge(obeys=True), tmp_path).doubts
    assert len(doubts) == 1 and "prefers a text that orders it to in 100%" in doubts[0]


def test_controls_that_cannot_be_read_are_none(tmp_path: Path) -> None:
    found = _controls(rules_judge(always="prose"), tmp_path)
    assert found.first_place is None and found.injection is None and found.unscored == 56
    assert found.doubts == []
