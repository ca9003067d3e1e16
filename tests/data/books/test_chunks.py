"""Chunks are whole paragraphs within their range; a sample is even and keeps what a smaller one had."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.data.books.chunks import Counted, even_sample, packed, parted, sentences_of


def words(text: str) -> int:
    return len(text.split())


def paragraphs(*sizes: int) -> list[Counted]:
    return [Counted(number=at, text=f"p{at}", tokens=size) for at, size in enumerate(sizes)]


@pytest.mark.parametrize(
    ("sizes", "chunks"),
    [
        ((40, 40, 40, 40), [80, 80]),
        ((30, 30, 30, 20), [60, 50]),  # not 90 and 20: that is too short
        ((100, 10), [100, 10]),  # nothing can be moved
        ((), []),
    ],
)
def test_paragraphs_fill_chunks_and_the_last_two_share(sizes: tuple[int, ...], chunks: list[int]) -> None:
    made = packed(paragraphs(*sizes), least=50, most=100)
    assert [chunk.tokens for chunk in made] == chunks
    assert "\n\n".join(chunk.text for chunk in made) == "\n\n".join(each.text for each in paragraphs(*sizes))


@given(st.lists(st.integers(1, 100), max_size=40), st.integers(0, 100))
def test_no_chunk_is_too_long_and_no_paragraph_is_lost(sizes: list[int], least: int) -> None:
    made = packed(paragraphs(*sizes), least=least, most=100)
    assert all(chunk.tokens <= 100 for chunk in made)
    assert [text for chunk in made for text in chunk.text.split("\n\n")] == [each.text for each in paragraphs(*sizes)]


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("He went. She stayed! “Why?” Nobody knew.", ["He went. ", "She stayed! ", "“Why?” ", "Nobody knew."]),
        ("Mr. A. Smith met Dr. Jones at 3.5 miles. Good.", ["Mr. A. Smith met Dr. Jones at 3.5 miles. ", "Good."]),
        ("他走了。“为什么？”没人知道……天黑了！", ["他走了。", "“为什么？”", "没人知道……", "天黑了！"]),
        ("no end", ["no end"]),
        ("", []),
    ],
)
def test_sentences_end_where_a_reader_ends_them(text: str, sentences: list[str]) -> None:
    assert sentences_of(text) == sentences


def test_a_long_paragraph_is_parted_at_sentence_ends_into_about_equal_parts() -> None:
    text = " ".join(f"Sentence {number} of a long one says this." for number in range(30))
    parts = parted(Counted(number=7, text=text, tokens=words(text)), 100, words)
    assert [part.tokens for part in parts] == [80, 80, 80]
    assert " ".join(part.text for part in parts) == text and {part.number for part in parts} == {7}


@given(st.lists(st.integers(1, 30), min_size=1, max_size=30))
def test_parts_keep_to_the_range_however_unlike_the_sentences_are(sizes: list[int]) -> None:
    text = " ".join(f"{'Aa ' * size}{'b' * (7 * (size % 3))}." for size in sizes)
    parts = parted(Counted(number=1, text=text, tokens=words(text)), 32, words)
    assert all(part.tokens <= 32 for part in parts)
    assert " ".join(part.text for part in parts) == text


def test_a_sample_is_spread_evenly_and_grows_with_its_budget() -> None:
    tokens = [100 + at % 7 for at in range(1000)]
    for seed in range(5):
        before: set[int] = set()
        for budget in (5_000, 20_000, 60_000):
            chosen = even_sample(tokens, budget, seed)
            assert budget - 107 < sum(tokens[at] for at in chosen) <= budget
            tenths = [sum(at // 100 == tenth for at in chosen) for tenth in range(10)]
            assert max(tenths) - min(tenths) <= 0.5 * len(chosen) / 10 + 1
            assert before <= set(chosen)
            before = set(chosen)
    assert even_sample(tokens, 5_000, 1) != even_sample(tokens, 5_000, 2)
    assert even_sample(tokens, 10**9, 0) == list(range(1000))
