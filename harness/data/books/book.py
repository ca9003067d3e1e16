"""The recipe: a book's text → paragraphs, headings and what is left out, in the order in which they stand.

Knows the parts of a book; what each looks like is told by its neighbours here.
"""

import math
import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence

from harness.data.books.blocks import (
    Block,
    blocks_of,
    is_contents,
    is_ornament,
    is_verse,
    paragraphs_of,
    style_of,
)
from harness.data.books.boilerplate import around, stretches_of
from harness.data.books.front import Fronts
from harness.data.books.furniture import find_furniture
from harness.data.books.headings import Level, level, names_section
from harness.data.books.joining import Joiner, without_emphasis
from harness.data.books.notes import has_mark, is_open, note_of, opens_remark, without_marks
from harness.data.books.pieces import Heading, Left, Numbered, Paragraph, Why, ends_sentence
from harness.data.cleaning import clean

Piece = Paragraph | Heading | Left
_PAGE_LINES = 80  # a note's mark stands at most so far above it
_PARTING = frozenset({Why.PAGE, Why.HEAD, Why.NOTE})  # what may stand in the middle of a paragraph


def read_book(text: str, sections: Sequence[str]) -> Iterator[Piece]:
    """`sections`: headings, in lower case, of parts that are left out, such as preface or 目录."""
    lines = [line.rstrip("\r").replace("\f", "").replace("\ufeff", "") for line in text.split("\n")]
    for stretch in stretches_of(lines):
        if stretch.is_text:
            numbered = [Numbered(at + 1, lines[at]) for at in range(stretch.first, stretch.end)]
            yield from _Reading(text, numbered, sections).pieces()
        elif left := around(lines, stretch):
            yield left


class _Reading:
    def __init__(self, text: str, lines: list[Numbered], sections: Sequence[str]) -> None:
        self._furniture = find_furniture(lines)
        self._passed = [line for line in reversed(lines) if line.number in self._furniture]  # the last one first
        self._style = style_of(lines)
        self._sections = [name.casefold() for name in sections]
        self._blocks = list(blocks_of(lines, self._furniture, self._style))
        self._fronts = Fronts(self._blocks, self._sections, len(lines))
        self._joiner = Joiner(text)
        self._signs: dict[str, list[int]] = {}  # of the notes, and the lines where those stand
        self._notes = {at for at, block in enumerate(self._blocks) if self._is_note(at, block)}
        self._open: list[Numbered] = []  # lines of a paragraph whose end may come after a page's
        self._since: set[Why] = set()  # what came after those

    def pieces(self) -> Iterator[Piece]:
        in_section = in_remark = False
        for at, block in enumerate(self._blocks):
            yield from self._furniture_before(block.number)
            why, in_remark = self._why(at, block, in_remark)
            self._since |= block.after
            if why in (Why.HEADING, Why.SECTION) or (why is None and in_section):
                yield from self._flush()
            if why is Why.SECTION:
                in_section = True
            elif why is Why.HEADING:
                in_section = False
                yield Heading(number=block.number, text=block.text.strip())
                continue
            if why is None and not in_section:
                yield from self._prose(block)
                continue
            if why not in _PARTING:
                yield from self._flush()
            self._since.add(why or Why.SECTION)
            yield Left(number=block.number, text=block.text, why=why or Why.SECTION)
        yield from self._flush()
        yield from self._furniture_before(None)

    def _furniture_before(self, number: int | None) -> Iterator[Left]:
        while self._passed and (number is None or self._passed[-1].number < number):
            line = self._passed.pop()
            yield Left(number=line.number, text=line.text.strip(), why=self._furniture[line.number])

    def _why(self, at: int, block: Block, in_remark: bool) -> tuple[Why | None, bool]:
        """Why a block is no prose, if it is none, and whether it leaves a bracket open."""
        if in_remark:
            return Why.EDITOR, not any("]" in text for text in block.texts)
        if self._fronts.holds(at):
            return Why.FRONT, False
        if opens_remark(block.texts[0]):
            return Why.EDITOR, is_open(block.texts)
        if is_ornament(block):
            return Why.ORNAMENT, False
        if at in self._notes:
            return Why.NOTE, False
        how = level(block.texts)
        if how is not Level.NONE:
            return (Why.SECTION if names_section(block.text, self._sections) else Why.HEADING), False
        if is_contents(block):
            return Why.CONTENTS, False
        if self._fronts.is_copyright(at):
            return Why.FRONT, False
        return (Why.VERSE if is_verse(block, self._style) else None), False

    def _is_note(self, at: int, block: Block) -> bool:
        note = note_of(block.texts[0])
        if note is None or not (note.sure or self._is_marked(at, note.sign)):
            return False
        if note.sign and not re.fullmatch(r"[0-9]+", note.sign):  # a number in brackets needs no note
            self._signs.setdefault(note.sign, []).append(block.number)
        return True

    def _is_marked(self, at: int, sign: str) -> bool:
        number = self._blocks[at].number
        if self._blocks[at].text.rstrip().endswith(sign):
            return False  # **a line like this**
        for before in range(at - 1, -1, -1):
            if self._blocks[before].number < number - _PAGE_LINES:
                return False
            if has_mark(self._blocks[before].text, sign):
                return True
        return False

    def _signs_below(self, number: int) -> set[str]:
        """Of notes that a mark at this line may point to: a star's is on the same page."""
        return {
            sign
            for sign, places in self._signs.items()
            if sign[0] not in "*†‡§" or _next(places, number) <= number + _PAGE_LINES
        }

    def _prose(self, block: Block) -> Iterator[Piece]:
        for number, lines in enumerate(paragraphs_of(block, self._style)):
            if not (number == 0 and self._open and self._goes_on(lines[0].text)):
                yield from self._flush()
            self._open.extend(lines)
            self._since.clear()

    def _goes_on(self, first: str) -> bool:
        """Whether a page's end stood in the middle of a sentence."""
        return bool(self._since) and self._since <= _PARTING and not ends_sentence(self._open[-1].text.rstrip())

    def _flush(self) -> Iterator[Piece]:
        if not self._open:
            return
        number = self._open[0].number
        text, marks = without_marks(self._joiner.join([line.text for line in self._open]), self._signs_below(number))
        self._open.clear()
        yield Paragraph(number=number, text=" ".join(clean(without_emphasis(text)).split("\n")))
        yield from (Left(number=number, text=mark, why=Why.MARK) for mark in marks)


def _next(places: Sequence[int], number: int) -> float:
    """The first of these, in order, beyond a number; infinity if there is none."""
    at = bisect_right(places, number)
    return places[at] if at < len(places) else math.inf
