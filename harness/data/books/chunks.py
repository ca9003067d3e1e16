"""Whole paragraphs to chunks within a range of tokens, long ones parted at sentence ends; and an even sample.

Knows texts and their counts. Does not know books, nor a tokenizer: it is handed in.
"""

import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

CountTokens = Callable[[str], int]
_SENTENCE = re.compile(
    r"(?<=[.!?…])[\"'”’)\]]*\s+(?=[\"'“‘(\[]?[A-Z\d\u00c0-\u00de])|(?<=[。！？…])(?![。！？…”’」』）])|(?<=[。！？…][”’」』）])"
)
_ABBREVIATION = re.compile(
    r"(?:^|[\s(\"“])(?:Mrs?|Ms|Dr|St|Prof|Rev|Capt|Col|Gen|Lt|Sgt|Hon|Jr|Sr|Messrs|Mme|No|vol|p|pp|cf|e\.g|i\.e|vs|[A-Z])\.$"
)


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """Text for one line. `number`: of its first line in the file; `tokens`: with a blank line after each paragraph."""

    number: int
    text: str
    tokens: int


@dataclass(frozen=True, kw_only=True)
class Counted:
    """A paragraph with its first line's number and its tokens, the blank line after it included."""

    number: int
    text: str
    tokens: int


def packed(paragraphs: Sequence[Counted], least: int, most: int) -> list[Chunk]:
    """Whole paragraphs of at most `most` tokens each, in order; the last two chunks share what would be too short.

    A chunk may still have fewer than `least` tokens where no paragraph can be moved.
    """
    ranges: list[list[Counted]] = []
    for paragraph in paragraphs:
        if ranges and sum(each.tokens for each in ranges[-1]) + paragraph.tokens <= most:
            ranges[-1].append(paragraph)
        else:
            ranges.append([paragraph])
    if len(ranges) > 1:
        _even_out(ranges[-2], ranges[-1], least)
    return [_chunk(each) for each in ranges]


def _even_out(one: list[Counted], last: list[Counted], least: int) -> None:
    """Move paragraphs to the last until it is long enough, as long as the one before it stays so."""
    while len(one) > 1 and _tokens(last) < least and _tokens(one) - one[-1].tokens >= least:
        last.insert(0, one.pop())


def _tokens(paragraphs: Sequence[Counted]) -> int:
    return sum(each.tokens for each in paragraphs)


def _chunk(paragraphs: Sequence[Counted]) -> Chunk:
    text = "\n\n".join(each.text for each in paragraphs)
    return Chunk(number=paragraphs[0].number, text=text, tokens=_tokens(paragraphs))


def parted(paragraph: Counted, most: int, count: CountTokens) -> list[Chunk]:
    """At sentence ends, into about equal parts of at most `most` tokens. A sentence of more than that is a part.

    Sentences are counted by their share of the characters first, and one by one only where that makes a part too long.
    """
    sentences = sentences_of(paragraph.text)
    share = paragraph.tokens / len(paragraph.text)
    parts = _parts(paragraph, sentences, [len(text) * share for text in sentences], most, count)
    if any(part.tokens > most for part in parts):
        parts = _parts(paragraph, sentences, [count(text) for text in sentences], most, count)
    return parts


def _parts(
    paragraph: Counted, sentences: Sequence[str], sizes: Sequence[float], most: int, count: CountTokens
) -> list[Chunk]:
    aim = sum(sizes) / max(1, -(-sum(sizes) // most))
    parts: list[str] = []
    filled = 0.0
    for text, size in zip(sentences, sizes, strict=True):
        if parts and filled + size <= most and filled + size / 2 <= aim:
            parts[-1] += text
            filled += size
        else:
            parts.append(text)
            filled = size
    return [
        Chunk(number=paragraph.number, text=text.strip(), tokens=count(text.strip() + "\n\n")) for text in parts
    ]  # the blank line stands for what ends a row


def sentences_of(text: str) -> list[str]:
    """With the space after each, so that together they are the text."""
    sentences: list[str] = []
    start = 0
    for match in _SENTENCE.finditer(text):
        if match.end() > start and not _ABBREVIATION.search(text[max(start, match.start() - 12) : match.start()]):
            sentences.append(text[start : match.end()])
            start = match.end()
    return [*sentences, text[start:]] if start < len(text) else sentences


def even_sample(tokens: Sequence[int], budget: int, seed: int) -> list[int]:
    """Which of these, in order, have at most `budget` tokens together, spread evenly over all of them.

    They are taken in the order of their numbers' bits turned round (van der Corput's), under a mask by the seed: any
    beginning of that order is spread evenly, so a larger budget keeps what a smaller one had.
    """
    if sum(tokens) <= budget:
        return list(range(len(tokens)))
    bits = max(1, (len(tokens) - 1).bit_length())
    mask = random.Random(seed).getrandbits(bits)
    order = sorted(range(len(tokens)), key=lambda at: int(f"{at:0{bits}b}"[::-1], 2) ^ mask)
    sums = accumulate(tokens[at] for at in order)
    return sorted(at for at, total in zip(order, sums, strict=True) if total <= budget)


def passages(chunks: Sequence[Chunk], most: int) -> Iterator[tuple[int, Chunk]]:
    """Each chunk with the number, from 1, of the stretch of about `most` tokens that it is in; stretches of one chapter
    are about equal."""
    total = sum(chunk.tokens for chunk in chunks)
    stretches = max(1, round(total / most))
    before = 0
    for chunk in chunks:
        yield 1 + min(stretches - 1, int((before + chunk.tokens / 2) * stretches / total)), chunk
        before += chunk.tokens
