"""Better by more than the noise: of two on the same rows, and of the best of many, whose luck does not count."""

import numpy as np
import pytest

from harness.statistics.gain import Array, gain_of_chosen, paired_gain

ROWS, TOKENS, ROUNDS, SIGMA = 27, 80.0, 200, 2.0
TARGETS = np.full(ROWS, TOKENS)


def _losses(rng: np.random.Generator, count: int, better: float = 0.0) -> tuple[Array, Array]:
    """Of a champion and so many others, nats by row: rows differ by 1 nat a token, the same row by 0.1 and chance."""
    hard = 3 + rng.standard_normal(ROWS)
    champion = hard + 0.1 * rng.standard_normal(ROWS)
    others = hard + 0.1 * rng.standard_normal((count, ROWS)) - better
    return champion * TOKENS, others * TOKENS


def test_a_gain_is_the_difference_of_two_means_for_a_token_with_its_error() -> None:
    before, after = np.array([10.0, 30.0, 20.0, 8.0]), np.array([8.0, 24.0, 20.0, 8.0])
    targets = np.array([10.0, 20.0, 10.0, 10.0])
    gain = paired_gain(before, after, targets)
    assert gain.mean == pytest.approx(8 / 50) and gain.before == pytest.approx(68 / 50) and gain.rows == 4
    left = np.array([2.0, 6.0, 0.0, 0.0]) - 8 / 50 * targets
    assert gain.error == pytest.approx(float(np.sqrt(4 / 3 * (left**2).sum()) / 50))


def test_few_rows_need_a_larger_gain_than_many_with_the_same_error() -> None:
    gains = [paired_gain(np.linspace(0, 1, rows), np.zeros(rows), np.ones(rows)) for rows in (4, 400)]
    few, many = ((gain.mean - gain.lower(SIGMA)) / gain.error for gain in gains)
    assert few == pytest.approx(3.31, abs=0.02) and many == pytest.approx(2.0, abs=0.01)


def test_where_a_few_rows_lose_much_the_interval_begins_lower() -> None:
    gains = np.array([1.0] * 24 + [-4.0] * 3)
    skewed, mirrored = (paired_gain(each, np.zeros(27), np.ones(27)) for each in (gains, gains.mean() * 2 - gains))
    assert skewed.mean == pytest.approx(mirrored.mean) and skewed.error == pytest.approx(mirrored.error)
    assert skewed.lower(SIGMA) < mirrored.lower(SIGMA) - 0.2 * skewed.error


def test_rows_with_most_of_the_tokens_count_as_few() -> None:
    even, one = np.ones(20), np.array([1000.0] + [1.0] * 19)
    assert paired_gain(even, even, even).degrees == 19
    assert paired_gain(one, one, one).degrees < 0.1


def test_of_equals_fewer_than_one_in_twenty_are_promoted() -> None:
    rng = np.random.default_rng(1)
    promoted = 0
    for _ in range(ROUNDS):
        champion, (other,) = _losses(rng, 1)
        promoted += paired_gain(champion, other, TARGETS).lower(SIGMA) > 0
    assert promoted < 0.05 * ROUNDS  # 3 of 200


@pytest.mark.parametrize("skewed", [False, True], ids=["even", "skewed"])
@pytest.mark.parametrize("trials", [2, 5, 40])
def test_who_wins_by_luck_among_many_that_are_no_better_is_refused(trials: int, skewed: bool) -> None:
    """Skewed: each loses much on a few rows, and the champion is just as they are without that."""
    rng = np.random.default_rng(trials)
    promoted, by_luck = 0, 0
    for number in range(ROUNDS):
        champion, others = _losses(rng, trials)
        if skewed:
            others = (champion / TOKENS + 0.1 * (rng.exponential(1, others.shape) - 1)) * TOKENS
        promoted += gain_of_chosen(champion, others, TARGETS, seed=number).lower(SIGMA) > 0
        by_luck += paired_gain(champion, others[others.sum(axis=1).argmin()], TARGETS).lower(SIGMA) > 0
    assert promoted < 0.05 * ROUNDS
    assert trials < 40 or by_luck > 0.2 * ROUNDS, "without care, luck would be promoted"


def test_one_that_is_truly_better_is_promoted_also_after_a_choice_among_many() -> None:
    """By 0.1 nats a token, what chance does to a row, on 27 rows: 18 of 20 alone, 16 of 20 chosen among 40."""
    rng = np.random.default_rng(3)
    alone, chosen = 0, 0
    for number in range(ROUNDS):
        champion, others = _losses(rng, 40)
        others[7] -= 0.1 * TOKENS
        alone += paired_gain(champion, others[7], TARGETS).lower(SIGMA) > 0
        chosen += gain_of_chosen(champion, others, TARGETS, seed=number).lower(SIGMA) > 0
    assert alone > 0.85 * ROUNDS and chosen > 0.7 * ROUNDS


def test_the_gain_of_one_that_was_chosen_among_none_is_that_of_a_pair() -> None:
    champion, others = _losses(np.random.default_rng(4), 1)
    pair, chosen = paired_gain(champion, others[0], TARGETS), gain_of_chosen(champion, others, TARGETS)
    assert chosen.mean == pytest.approx(pair.mean) and chosen.error == pytest.approx(pair.error)
