"""Where a book's text begins: title page, copyright and credits come before its first chapter.

Without a heading that says that a chapter begins, only what speaks of rights, printers and credits is front matter.
"""

import re
from collections.abc import Sequence

from harness.data.books.blocks import Block, is_contents
from harness.data.books.headings import Level, kind, level, names_section
from harness.data.books.pieces import count_han, count_words

_RIGHTS = re.compile(
    r"copyright\s+(?:\(c\)|©|by|\d{4})|©\s*\d{4}|all rights reserved|\bISBN\b|"
    r"printed (?:in|by) |published by|first (?:published|edition)|"
    r"produced by .{0,60}(?:team|proofread)|(?:e-?text|this file was) (?:prepared|produced)|transcribed from|"
    r"版权所有|版權所有|出版社|图书在版编目|定价|印刷",
    re.IGNORECASE,
)
_OPENS = ("preface", "foreword", "introduction", "prologue", "序", "序言", "自序", "前言", "引言", "导言")  # if wanted
_SHARE, _LEAST = 0.1, 150  # of the lines, or so many of them: how far front matter may go
_PROSE_WORDS, _PROSE_HAN = 25, 40
_NEAR = 3  # headings one after another, such as a part's and its first chapter's


class Fronts:
    def __init__(self, blocks: Sequence[Block], sections: Sequence[str], lines: int) -> None:
        self._blocks = blocks
        first = blocks[0].number if blocks else 0
        self._limit = first + min(max(_SHARE * lines, _LEAST), lines / 2)
        self._end = self._first_chapter(sections)
        prose = (at for at, block in enumerate(blocks) if _is_long(block) and not _RIGHTS.search(block.text))
        self._rights = next(prose, len(blocks))

    def holds(self, at: int) -> bool:
        """Whether a block stands before the first chapter."""
        return at < self._end

    def is_copyright(self, at: int) -> bool:
        """Whether a block that comes before all prose speaks of rights."""
        return at < self._rights and _RIGHTS.search(self._blocks[at].text) is not None

    def _first_chapter(self, sections: Sequence[str]) -> int:
        """The first block that opens a chapter, or a section by its name, and is followed by prose; else 0."""
        for at, block in enumerate(self._blocks):
            if block.number > self._limit:
                return 0
            how = level(block.texts)
            opens = how is Level.STRONG or (how is Level.WEAK and names_section(block.text, [*sections, *_OPENS]))
            if opens and self._prose_follows(at, sections):
                return at
        return 0

    def _prose_follows(self, at: int, sections: Sequence[str]) -> bool:
        """After this heading, and perhaps a title or the heading of a smaller part."""
        kinds = {kind(self._blocks[at].text)}
        for block in self._blocks[at + 1 : at + 2 + _NEAR]:
            how = level(block.texts)
            if how is Level.NONE:
                return _is_long(block) and not is_contents(block)
            if names_section(block.text, sections) or (how is Level.STRONG and kind(block.text) in kinds):
                return False
            kinds.add(kind(block.text))
        return False


def _is_long(block: Block) -> bool:
    return count_words(block.text) >= _PROSE_WORDS or count_han(block.text) >= _PROSE_HAN
