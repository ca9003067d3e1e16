"""The small base's own text, tokenizer and training: what one writes the other accepts, and it learns."""

import itertools
import json
import random
import re
from dataclasses import replace
from pathlib import Path

import mlx.core as mx
import pytest
from mlx_lm import load

from harness.models.byte_level import CHAT_TEMPLATE
from tools.pretrain.evaluate import evaluate, prose
from tools.pretrain.grammar import Grammar, grammar
from tools.pretrain.inflection import ing, past, plural, third, with_article
from tools.pretrain.lexicon import Language
from tools.pretrain.ngrams import NGrams
from tools.pretrain.rows import Row, held_out, row, training
from tools.pretrain.tokenizer import build, encoded, prompt
from tools.pretrain.train import Settings, Trainer, batches, run

SMALL = Settings(updates=12, batch_size=4, warmup=2, width=32, blocks=2, heads=2, hidden=64, learning_rate=1e-2)


@pytest.fixture(params=list(Language))
def rules(request: pytest.FixtureRequest) -> Grammar:
    return grammar(request.param)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model of two blocks after a few updates."""
    folder = tmp_path_factory.mktemp("trained")
    run(SMALL, folder, save_seconds=1e9, tokenizer_rows=50)
    return folder


def texts(rules: Grammar, count: int) -> list[tuple[str, str]]:
    """Theme and text."""
    rng = random.Random(4)
    return [(theme, rules.text(theme, rng)) for theme in rng.choices(rules.themes, k=count)]


def test_the_same_seed_gives_the_same_text(rules: Grammar) -> None:
    assert texts(rules, 20) == texts(Grammar(rules.language), 20)


def test_every_generated_sentence_is_accepted(rules: Grammar) -> None:
    for theme, text in texts(rules, 80):
        for sentence in rules.sentences(text):
            assert rules.accepts(sentence, theme), (theme, sentence)


def test_every_theme_has_texts_of_two_to_six_sentences(rules: Grammar) -> None:
    rng = random.Random(5)
    for theme in rules.themes:
        assert 2 <= len(rules.sentences(rules.text(theme, rng))) <= 6


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("村口有一条河。", "村口有一盏河。"),
        ("桌上有一盏灯。", "桌上有一条灯。"),
        ("河慢慢地流。", "灯慢慢地流。"),
        ("小红喜欢看河。", "小红看喜欢河。"),
    ],
)
def test_chinese_words_keep_to_their_measures_and_deeds(right: str, wrong: str) -> None:
    assert grammar(Language.CHINESE).accepts(right)
    assert not grammar(Language.CHINESE).accepts(wrong)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("The river flows past the village.", "The river flow past the village."),
        ("The shoes hang behind the door.", "The shoes hangs behind the door."),
        ("There are two foxes in the forest.", "There are two fox in the forest."),
        ("There is an owl in the barn.", "There is a owl in the barn."),
        ("Yesterday, Anna visited the church.", "Yesterday, Anna visits the church."),
    ],
)
def test_english_agrees_in_number_and_tense(right: str, wrong: str) -> None:
    rules = grammar(Language.ENGLISH)
    assert rules.accepts(right)
    assert not rules.accepts(wrong)


def test_measure_words_agree_in_all_texts() -> None:
    rules = grammar(Language.CHINESE)
    seen = 0
    for theme, text in texts(rules, 400):
        for measure in re.findall(rf"有一(.){theme}。", text):
            assert measure == rules.words.nouns[theme].marks["m"], text
            seen += 1
    assert seen > 40


def test_no_text_says_that_a_thing_is_both_old_and_new() -> None:
    rules = grammar(Language.ENGLISH)
    both = [text for _, text in texts(rules, 600) if "is old" in text and "is new" in text]
    assert not both
    assert not rules.accepts("It is new and old.", "chair")


def test_words_are_inflected() -> None:
    irregular = grammar(Language.ENGLISH).words.irregular
    assert [third(verb) for verb in ("go", "carry", "watch", "have", "play")] == [
        "goes", "carries", "watches", "has", "plays",
    ]  # fmt: skip
    assert [past(verb, irregular) for verb in ("go", "carry", "stop", "bake", "play")] == [
        "went", "carried", "stopped", "baked", "played",
    ]  # fmt: skip
    assert [ing(verb) for verb in ("lie", "bake", "run", "draw", "see")] == [
        "lying", "baking", "running", "drawing", "seeing",
    ]  # fmt: skip
    assert plural("city") == "cities"
    assert with_article("old lamp") == "an old lamp"
    assert with_article("useful knife") == "a useful knife"


def test_a_row_does_not_depend_on_what_was_read_before() -> None:
    found = dict(itertools.islice(training(7, start=40), 5))
    assert all(row(7, index) == one for index, one in found.items())


def test_some_rows_ask_for_a_copy_and_none_of_them_is_held_out() -> None:
    copies = [one for one in (row(7, index) for index in range(400)) if not one.theme]
    assert 10 < len(copies) < 50
    assert all(one.request.endswith(one.text) for one in copies)
    assert all(one.theme for _, one in itertools.islice(held_out(7), 20))


def test_what_is_held_out_is_never_trained_on() -> None:
    held = {one.text for _, one in itertools.islice(held_out(7), 5)}
    trained = {one.text for _, one in itertools.islice(training(7), 500)}
    assert not held & trained


@pytest.mark.parametrize("language", list(Language))
def test_prose_by_hand_is_about_forty_passages_that_name_known_themes(language: Language) -> None:
    passages = prose(language)
    assert len(passages) >= 38
    assert all(one.theme in grammar(language).themes for one in passages)


def test_the_tokenizer_gives_back_every_text_and_chinese_by_character() -> None:
    tokenizer = build(seed=7, rows=300)
    for found in (*(one for _, one in itertools.islice(training(8), 200)), *prose(Language.CHINESE)):
        ids = tokenizer.encode(found.text).ids
        assert tokenizer.decode(ids) == found.text
        assert not any(len(tokenizer.decode([token])) > 1 and "河" in tokenizer.decode([token]) for token in ids)
    assert len(tokenizer.encode("河").ids) == 1


def test_a_prompt_is_what_the_chat_template_makes_of_it() -> None:
    from jinja2 import Template

    one = Row(Language.CHINESE, "河", "河", "你写简单的短文。", "河很宽。")
    assert prompt(one) == Template(CHAT_TEMPLATE).render(messages=one.messages, add_generation_prompt=True)


def test_only_the_answer_is_scored() -> None:
    tokenizer = build(seed=7, rows=50)
    one = next(batches(tokenizer, SMALL))
    length = one.tokens.shape[1]
    places = [place for place, weight in zip(one.scored.tolist(), one.weights.tolist(), strict=True) if weight]
    for index, ids in enumerate(one.tokens.tolist()):
        answer = [ids[place % (length - 1) + 1] for place in places if place // (length - 1) == index]
        assert tokenizer.decode(answer, skip_special_tokens=False).endswith("<|im_end|>")
        assert "<|im_start|>" not in tokenizer.decode(answer, skip_special_tokens=False)


def test_a_small_model_learns_and_mlx_lm_loads_it(trained: Path) -> None:
    first, last = (json.loads(line)["held_out_loss"] for line in (trained / "curve.jsonl").read_text().splitlines())
    assert last < first - 0.5
    model, loaded = load(str(trained))
    assert model.model.embed_tokens.weight.dtype == mx.bfloat16
    assert loaded.apply_chat_template([{"role": "user", "content": "河"}], add_generation_prompt=True)


def test_a_resumed_training_ends_with_the_same_weights(trained: Path, tmp_path: Path) -> None:
    tokenizer = build(seed=SMALL.seed, rows=50)
    first = Trainer(SMALL, tokenizer.get_vocab_size())
    for one in itertools.islice(batches(tokenizer, SMALL), 5):
        first.train(one)
    first.save(tmp_path)
    run(SMALL, tmp_path, save_seconds=1e9, tokenizer_rows=50)
    whole, parts = (mx.load(str(folder / "model.safetensors")) for folder in (trained, tmp_path))
    assert all(mx.array_equal(whole[name], parts[name]) for name in whole)


def test_a_checkpoint_of_other_settings_is_not_taken_up(trained: Path) -> None:
    before = (trained / "model.safetensors").read_bytes()
    with pytest.raises(SystemExit, match="other settings or another text"):
        run(replace(SMALL, seed=SMALL.seed + 1), trained, save_seconds=1e9, tokenizer_rows=50)
    assert (trained / "model.safetensors").read_bytes() == before


def test_ngram_probabilities_sum_to_one() -> None:
    model = NGrams([[1, 2, 3, 1, 2, 4], [1, 2, 3]], vocabulary=6)
    for context in ([], [1], [1, 2], [5, 5]):
        assert sum(model.probability(context, token) for token in range(6)) == pytest.approx(1)


def test_a_folder_is_measured_against_the_floor(trained: Path) -> None:
    result = evaluate(trained, texts=2, held_rows=2, floor_rows=300, temperature=0.7)
    for name in ("model", "floor"):
        for language in Language:
            found = result[name][language]
            assert found["perplexity_held_out"] > 1
            assert 0 <= found["accepted_about_it"] <= found["accepted"] <= 1


def test_a_row_is_its_prompt_and_its_text() -> None:
    tokenizer = build(seed=7, rows=50)
    one = row(7, 0)
    ids, start = encoded(tokenizer, one)
    assert tokenizer.decode(ids[:start], skip_special_tokens=False) == prompt(one)
    assert tokenizer.decode(ids[start:], skip_special_tokens=True) == one.text
