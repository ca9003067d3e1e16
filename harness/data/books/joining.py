"""Wrapped lines → one line: words that a line's end parted are joined, and Chinese needs no space.

Knows the words of the book, to tell a parted word from a compound.
"""

import re
from collections.abc import Sequence
from itertools import pairwise

from harness.data.books.pieces import is_wide

_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
_PARTED = re.compile(r"([^\W\d_]+)-$")
_BEGINS = re.compile(r"([^\W\d_]+(?:-[^\W\d_]+)*)")
_EMPHASIS = re.compile(r"(?<![\w_])_(?=\S)([^_\n]{1,300}?)(?<=\S)_(?![\w_])")


class Joiner:
    """`text`: the whole book, whose words decide about hyphens at the ends of lines."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._words: set[str] | None = None

    def join(self, texts: Sequence[str]) -> str:
        stripped = [text for each in texts if (text := each.strip())]
        ends = [self._end(before, after) for before, after in pairwise(stripped)]
        return "".join([*ends, *stripped[-1:]])

    def _end(self, before: str, after: str) -> str:
        """The line, ready for the next one."""
        if before.endswith("\u00ad"):
            return before[:-1]
        if before.endswith(("--", "—")) or (is_wide(before[-1]) and is_wide(after[0])):
            return before
        parted = _PARTED.search(before) if before.endswith("-") else None
        begins = _BEGINS.match(after)
        if parted is None or begins is None or not begins[1][0].islower():
            return f"{before} "
        return before if self._is_compound(parted[1], begins[1]) else before[:-1]

    def _is_compound(self, first: str, second: str) -> bool:
        if self._words is None:
            self._words = {match[0].lower() for match in _WORD.finditer(self._text)}
        whole, compound = (first + second).lower(), f"{first}-{second}".lower()
        return compound in self._words and whole not in self._words


def without_emphasis(text: str) -> str:
    """Without the underscores that typists put around italics."""
    return _EMPHASIS.sub(r"\1", text) if "_" in text else text
