"""What a printed page has around its text: page numbers and running heads, found by their order and repetition.

A bare number is a page's when its neighbours count on from it or it stands alone; a short line is a running head when
it comes again and again beside them. Knows lines, not what they say.
"""

import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from harness.data.books.pieces import Numbered, Why, ends_sentence

_DECORATED = re.compile(
    r"\s*(?:[-–—~·|]+\s*(\d{1,4})\s*[-–—~·|]+|[\[{(<]\s*(?:p(?:age|g)?\.?\s*)?(\d{1,4})\s*[\]})>]|"
    r"(?:page|pg\.?|p\.)\s*(\d{1,4})(?:\s*(?:of|/)\s*\d{1,4})?|第\s*(\d{1,4})\s*[页頁]|·?\s*(\d{1,4})\s*[页頁])\s*",
    re.IGNORECASE,
)
_BARE = re.compile(r"\s*(\d{1,4})\s*")
_SMALL_ROMAN = re.compile(r"\s*(?=[ivxlc])(?:xc|xl|l?x{0,3})(?:ix|iv|v?i{0,3})\s*")
_NUMBER_AT_END = re.compile(
    r"^\s*\d{1,4}[\s|·.—–-]{2,}(?=\D)|(?<=\D)[\s|·—–-]{2,}\d{1,4}\s*$|"
    r"^\s*\d{1,4}\s+(?=[^a-z]{4,}$)|(?<=[A-Z.\u4e00-\u9fff])\s+\d{1,4}\s*$"
)
_CHAPTER_WORD = re.compile(r"\W*(?:chapter|book|part|volume|act|scene|canto|letter|第)", re.IGNORECASE)
_PROSE = re.compile(r"[,;!?，。；、！？]$|^[a-z]")
_HEAD_COLUMNS = 64
_REPEATED_NUMBERED = 2
_REPEATED = 3  # beside a page number
_REPEATED_ALONE = 5  # without a number beside it
_BROKEN = 0.4  # of those without a number stand in the middle of a sentence
_STEP = 3  # pages, at most, from one number to the next


def find_furniture(lines: Sequence[Numbered]) -> dict[int, Why]:
    """Line number → what it is, of lines that are page numbers or running heads."""
    there = [line for line in lines if line.text.strip()]
    pages = _pages(there, alone={line.number for line in _alone(lines)})
    return pages | _heads(there, pages)


def _alone(lines: Sequence[Numbered]) -> list[Numbered]:
    """Those between blank lines."""
    blank = [True, *(not line.text.strip() for line in lines), True]
    return [line for at, line in enumerate(lines) if blank[at] and not blank[at + 1] and blank[at + 2]]


def _pages(there: Sequence[Numbered], alone: set[int]) -> dict[int, Why]:
    pages: dict[int, Why] = {}
    bare: list[tuple[int, int]] = []
    for line in there:
        if len(line.text) > 40:
            continue
        if _DECORATED.fullmatch(line.text) or (line.number in alone and _SMALL_ROMAN.fullmatch(line.text)):
            pages[line.number] = Why.PAGE
        elif match := _BARE.fullmatch(line.text):
            bare.append((line.number, int(match[1])))
    for at, (number, page) in enumerate(bare):
        before = at > 0 and 0 < page - bare[at - 1][1] <= _STEP
        after = at + 1 < len(bare) and 0 < bare[at + 1][1] - page <= _STEP
        if before or after or number in alone:
            pages[number] = Why.PAGE
    return pages


def _heads(there: Sequence[Numbered], pages: dict[int, Why]) -> dict[int, Why]:
    keys = {line.number: key for line in there if line.number not in pages and (key := _key(line.text))}
    often = Counter(keys.values())
    broken = Counter(keys.get(line.number) for before, line in pairwise(there) if not ends_sentence(before.text))
    heads: dict[int, Why] = {}
    for at, line in enumerate(there):
        key = keys.get(line.number)
        if key is None or often[key] < _REPEATED_NUMBERED or _CHAPTER_WORD.match(key):
            continue
        neighbours = {there[other].number for other in (at - 1, at + 1) if 0 <= other < len(there)}
        title = _is_title(line.text)
        beside = often[key] >= _REPEATED and title and bool(neighbours & pages.keys())
        alone = often[key] >= _REPEATED_ALONE and _is_capital(line.text) and broken[key] >= _BROKEN * often[key]
        if beside or alone or (title and _NUMBER_AT_END.search(line.text)):
            heads[line.number] = Why.HEAD
    return heads


def _key(text: str) -> str | None:
    """The line without its page number, for lines that are short enough."""
    if len(text) > 2 * _HEAD_COLUMNS:
        return None
    bare = " ".join(_NUMBER_AT_END.sub("", text).split())
    return bare.casefold() if 2 <= len(bare) <= _HEAD_COLUMNS and any(map(str.isalpha, bare)) else None


def _is_capital(text: str) -> bool:
    return text == text.upper() and text != text.lower()


def _is_title(text: str) -> bool:
    """Whether it may be a title: no sentence's end, and no small letter at the beginning of a long word."""
    bare = _NUMBER_AT_END.sub("", text).strip()
    return not _PROSE.search(bare) and not any(word[0].islower() for word in bare.split() if len(word) > 4)
