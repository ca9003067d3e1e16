"""Measures that cost no calls mean what they say, in Chinese and in English."""

import dataclasses
from pathlib import Path

import pytest

from harness.data.authored import authored
from harness.data.lines import Line, read_lines
from harness.data.units import sentences, units
from harness.textstats.corpus import GRAM, Corpus
from harness.textstats.measures import Measures, Written, diversity, means, measure

POEM = "它把两岸\n背了一辈子\n从不说沉\n\n只在夜里\n翻一个身\n露出满背的星"
PROSE = "The engine had no pretensions whatever to originate anything. It could do whatever we knew how to order."


def _measure(text: str, *, corpus: Corpus | None = None, theme: str = "河") -> Measures:
    return measure(Written(theme, "base", text), corpus or Corpus([POEM, PROSE]))


def test_chinese_is_counted_by_characters_and_other_languages_by_words() -> None:
    assert units("河，Don't stop 2 cafés!") == ["河", "don't", "stop", "2", "cafés"]
    assert len(units("夜里翻一个身")) == 6
    assert len(sentences("One. Two? 三。四！\n五 3.14 is not two")) == 5


def test_rhythm_is_mean_and_variation_of_lines_and_sentences() -> None:
    even, uneven = _measure("一二三四\n五六七八\n九十百千"), _measure("一\n二三四五六七八九\n十百千")
    assert (even.line_length, even.line_variation) == (4, 0)
    assert uneven.line_length == 4 and uneven.line_variation > 0.5
    english = _measure("One two three. Four five six seven eight.")
    assert (english.sentence_length, english.line_length) == (4, 8)


def test_a_run_of_the_training_text_is_found_at_its_length() -> None:
    taken = _measure("月亮" + "背了一辈子\n从不说沉" + "月亮")
    assert taken.memorised_run == 9
    assert 0 < taken.memorised < 1
    assert _measure(POEM).memorised == 1
    assert _measure("the engine had no pretensions, he said").memorised_run == 5


def test_less_than_a_gram_is_language_not_memory() -> None:
    assert GRAM == 5
    assert _measure("从不说沉默").memorised_run == 0
    assert _measure("").memorised_run == 0


def test_no_run_goes_on_from_one_text_to_the_next() -> None:
    corpus = Corpus(["一二三四五六", "七八九十百千"])
    assert corpus.taken("四五六七八九") == (0, 0.0)
    assert corpus.taken("十百千万亿兆") == (0, 0.0)


def test_words_that_the_corpus_does_not_know_are_no_memory() -> None:
    assert Corpus(["a b c"]).taken("x x x x x x x") == (0, 0.0)


def test_own_words_are_those_that_the_author_uses_more_than_others() -> None:
    author, others = ["gossamer lantern the river"] * 4, ["the river and the town and the sea"] * 4
    corpus = Corpus(author, others)
    assert corpus.own >= {"gossamer", "lantern"} and "the" not in corpus.own
    assert _measure("gossamer lantern town sea", corpus=corpus).own_words == 0.5


def test_novelty_and_copying_are_told_from_the_prompt() -> None:
    theme = "the old man walked slowly to the sea"
    copied = _measure(theme, theme=theme)
    assert (copied.novel, copied.copied, copied.copied_run) == (0, 1, 8)
    fresh = _measure("gulls wheel over harbours", theme=theme)
    assert (fresh.novel, fresh.copied, fresh.copied_run) == (1, 0, 0)


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry, but I can't help with that.",
        "As an AI language model, I have no feelings.",
        "作为一个人工智能，我没有感情",
        "抱歉，我无法创作这首诗",
        "I am an AI developed by others",
    ],
)
def test_refusals_are_noticed(text: str) -> None:
    assert _measure(text).refusals == 1


@pytest.mark.parametrize("text", [POEM, PROSE, "我不能忘记那条河", "I cannot help weeping when I write"])
def test_what_an_author_says_is_no_refusal(text: str) -> None:
    assert _measure(text).refusals == 0


def test_loops_are_the_share_of_the_text_that_repeats_itself() -> None:
    assert _measure("我走了我走了我走了我走了").loops == 1
    assert _measure(POEM).loops == 0
    assert _measure("一二三四五六七八九十" + "啊" * 10).loops == 0.5
    assert _measure("ha ha ha, he said").loops == 0


def test_diversity_within_and_across_variants() -> None:
    same = [Written("河", "base", POEM), Written("河", "base", POEM), Written("河", "newline", PROSE)]
    found = diversity(same)
    assert found.within == 0 and found.across is not None and found.across > 0.9
    assert diversity(same[:1]).within is None
    assert diversity([Written("河", "a", "一一一一一")]).distinct == 0.25


def test_means_are_over_every_measure() -> None:
    one, other = _measure(POEM), _measure("")
    assert means([one, other]) == Measures(**{name: value / 2 for name, value in dataclasses.asdict(one).items()})


def test_the_shipped_poems_do_not_repeat_one_another(poems: Path) -> None:
    texts = authored(read_lines(poems / "train.jsonl"))
    assert "<|im_end|>" not in "".join(texts) and len(texts) > 90
    held_out = authored(read_lines(poems / "valid.jsonl"))
    corpus = Corpus(texts)
    assert means([measure(Written("", "", text), corpus) for text in held_out]).memorised < 0.05
    assert means([measure(Written("", "", text), corpus) for text in texts]).memorised > 0.99


def test_authored_texts_are_the_assistants_turns_alone() -> None:
    turns = [{"role": "user", "content": "河"}, {"role": "assistant", "content": "水"}]
    lines = [
        Line(Path("x"), 1, turns, None, None),
        Line(Path("x"), 2, None, "<|im_start|>user\n河<|im_end|>\n<|im_start|>assistant\n水<|im_end|>", None),
        Line(Path("x"), 3, None, "plain prose", None),
    ]
    assert authored(lines) == ["水", "水", "plain prose"]
