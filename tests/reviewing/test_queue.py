"""In which order texts come: the best first, some of the lower ranks, hidden repeats; pairs by different adapters."""

import dataclasses

from hypothesis import given, settings
from hypothesis import strategies as some

from harness.reviewing.pairs import lay_out_pairs
from harness.reviewing.queue import Order, far, lay_out
from harness.reviewing.texts import Text
from tests.reviewing.written import QUEUE

RANKED = dataclasses.replace(QUEUE, order=Order.RANKING, explore=0.1, repeats=0.05)


def _texts(many: int, themes: int = 1) -> list[Text]:
    return [
        Text(
            key=f"k{number}",
            sample=f"s{number}",
            theme=f"theme {number % themes}",
            text=f"text {number}",
            group="",
            record={"adapter": "ab"[number // themes % 2]},
        )
        for number in range(many)
    ]


def _worth(texts: list[Text]) -> dict[str, float]:
    return {text.sample: -float(text.sample[1:]) for text in texts}  # the first is the best


@settings(max_examples=50, deadline=None)
@given(
    many=some.integers(0, 80),
    themes=some.integers(1, 7),
    order=some.sampled_from(Order),
    explore=some.floats(0, 0.5),
    repeats=some.floats(0, 0.5),
    seed=some.integers(0, 9),
)
def test_each_text_comes_once_and_a_repeat_only_after_it_with_others_between(
    many: int, themes: int, order: Order, explore: float, repeats: float, seed: int
) -> None:
    texts = _texts(many, themes)
    wanted = dataclasses.replace(QUEUE, order=order, explore=explore, repeats=repeats, seed=seed)
    items = lay_out(texts, _worth(texts), wanted)
    first = [item.texts[0].key for item in items if item.first is None]
    assert sorted(first) == sorted(text.key for text in texts)
    assert len({item.key for item in items}) == len(items)
    places = {item.key: at for at, item in enumerate(items)}
    for item in items:
        assert item.first is None or places[item.key] - places[item.first] > far(many)


def test_the_best_of_every_theme_come_before_the_second_best_of_any() -> None:
    texts = _texts(20, themes=5)
    items = lay_out(texts, _worth(texts), dataclasses.replace(RANKED, explore=0.0, repeats=0.0))
    assert {item.texts[0].sample for item in items[:5]} == {"s0", "s1", "s2", "s3", "s4"}
    assert [item.rank for item in items[:5]] == [0.0] * 5


def test_about_a_tenth_of_an_early_session_comes_from_the_lower_ranks() -> None:
    texts = _texts(1000)
    items = [item for item in lay_out(texts, _worth(texts), RANKED) if item.first is None][:100]
    assert sum((item.rank or 0) >= 0.5 for item in items) == 10


def test_repeats_come_in_the_first_session_already() -> None:
    texts = _texts(1000)
    again = [item.first is not None for item in lay_out(texts, _worth(texts), RANKED)]
    assert sum(again) == 50
    assert 1 <= sum(again[:100]) <= 12


def test_the_top_of_each_theme_is_all_but_for_a_share_of_the_lower_ranks() -> None:
    texts = _texts(200, themes=4)
    items = lay_out(texts, _worth(texts), dataclasses.replace(RANKED, top=5))
    ranks = [item.rank or 0 for item in items if item.first is None]
    assert sum(rank < 0.5 for rank in ranks) == 20
    assert 1 <= sum(rank >= 0.5 for rank in ranks) <= 3


def test_texts_that_join_later_move_none_of_a_random_queue_against_another() -> None:
    texts = _texts(60)
    wanted = dataclasses.replace(RANKED, order=Order.RANDOM, repeats=0.0)
    before = [item.key for item in lay_out(texts[:40], {}, wanted)]
    after = [item.key for item in lay_out(texts, {}, wanted)]
    assert [key for key in after if key in before] == before


def test_an_opaque_key_tells_nothing_and_is_another_in_another_review() -> None:
    texts = _texts(5)
    keys, others = ([item.key for item in lay_out(texts, {}, dataclasses.replace(QUEUE, secret=s))] for s in "xy")
    assert not set(keys) & set(others)


@settings(max_examples=50, deadline=None)
@given(many=some.integers(0, 60), themes=some.integers(1, 5), repeats=some.floats(0, 0.5))
def test_pairs_are_on_one_theme_and_show_each_text_once_but_for_repeats_with_sides_changed(
    many: int, themes: int, repeats: float
) -> None:
    texts = _texts(many, themes)
    pairs = lay_out_pairs(texts, dataclasses.replace(QUEUE, repeats=repeats))
    shown = [text.key for pair in pairs if pair.first is None for text in pair.texts]
    assert len(shown) == len(set(shown)) >= many - themes
    places = {pair.key: at for at, pair in enumerate(pairs)}
    for pair in pairs:
        assert len({text.theme for text in pair.texts}) == 1
        if pair.first is not None:
            assert places[pair.first] < places[pair.key]
            assert pairs[places[pair.first]].texts == pair.texts[::-1]


def test_pairs_are_by_different_adapters_where_there_are_such() -> None:
    pairs = lay_out_pairs(_texts(40), QUEUE)
    assert all(one.record["adapter"] != other.record["adapter"] for one, other in (pair.texts for pair in pairs))
