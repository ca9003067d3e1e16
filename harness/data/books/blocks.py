"""Lines between blank lines: blocks; how the book wraps its lines, which blocks are verse or lists, and prose rejoined.

Knows the widths and ends of lines; headings, notes and chapters are for others.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from harness.data.books.headings import is_strong
from harness.data.books.notes import note_of
from harness.data.books.pieces import Numbered, Why, columns, ends_sentence, indent, is_wide

_WRAPPED = 120  # columns: the widest that people wrap at
_SPACED = 0.04  # of the lines are blank where blank lines part paragraphs
_BULLET = re.compile(r"\s*[-*•+·]\s+\S")
_ITEM = re.compile(r"\s*(?:\d{1,3}[.)]|\(?[a-z\d]{1,3}\))\s+\S")
_LISTED = re.compile(r"(?:[,;:.]|\b(?:and|or))$")  # what a line ends in before an item of a list
_BULLETS = 0.7  # of the lines of a list begin with one
_CONTENT = re.compile(r".*(?:\.\s?\.\s?\.|…|·{3}|\s{3,}|,\s|\s|\t)\s*(?:\d{1,4}|[ivxlc]{1,7})\W*")
_ALONE = re.compile(r"[\s\u3000【〔]*(?:第|卷|楔|序幕|尾|引|终|終)|#")  # is a heading also in the middle of a block
_ORNAMENT = re.compile(r"[\s*·•—–_=~#+\-.◇◆○●☆★※＊§]+")
_FITS = 4  # columns by which the next word must have had room, for a line to be one that somebody ended
_EVEN = 0.75  # of the widest line are the lines of an indented quotation
_ENDED = 0.6  # of a verse's lines are


@dataclass(frozen=True)
class Block:
    """Lines without blank ones. `after`: what was taken out between it and the one before."""

    lines: list[Numbered]
    after: frozenset[Why] = frozenset()

    @property
    def number(self) -> int:
        return self.lines[0].number

    @property
    def texts(self) -> list[str]:
        return [line.text for line in self.lines]

    @property
    def text(self) -> str:
        return "\n".join(self.texts)


@dataclass(frozen=True)
class Style:
    """How a book is set. `width`: columns that its lines are wrapped at; None: a line is a paragraph.
    `spaced`: blank lines part its paragraphs."""

    width: int | None
    spaced: bool


def style_of(lines: Sequence[Numbered]) -> Style:
    widths = [columns(line.text) for line in lines if line.text.strip()]
    if not widths:
        return Style(None, spaced=False)
    width = int(np.quantile(widths, 0.95))
    spaced = len(lines) - len(widths) >= _SPACED * len(lines)
    return Style(width if width <= _WRAPPED else None, spaced)


def blocks_of(lines: Sequence[Numbered], furniture: dict[int, Why], style: Style) -> Iterator[Block]:
    """Parted at blank lines, around a line that says that a chapter begins, and where a page ends below a footnote; in
    a book without blank lines and wrapping, each line is one."""
    held: list[Numbered] = []
    passed: set[Why] = set()  # since the last line of text
    after: frozenset[Why] = frozenset()
    each = style.width is None and not style.spaced
    for line in lines:
        if line.number in furniture:
            passed.add(furniture[line.number])
            if held and note_of(held[0].text):
                yield Block(held, after)
                held = []
            continue
        heading = is_strong(line.text) and (not held or _ALONE.match(line.text) is not None)
        if held and (heading or not line.text.strip()):
            yield Block(held, after)
            held = []
        if line.text.strip():
            after = after if held else frozenset(passed)
            passed.clear()
            held.append(line)
        if held and (heading or each):
            yield Block(held, after)
            held = []
    if held:
        yield Block(held, after)


def is_ornament(block: Block) -> bool:
    return all(_ORNAMENT.fullmatch(text) for text in block.texts)


def is_contents(block: Block) -> bool:
    """Whether most of its lines end in a page's number."""
    texts = block.texts
    listed = sum(_CONTENT.fullmatch(text) is not None for text in texts)
    return len(texts) >= 3 and listed >= 0.6 * len(texts)


def is_verse(block: Block, style: Style) -> bool:
    """Whether its lines were ended by somebody: the next word would have had room in most of them."""
    texts = [text.rstrip() for text in block.texts]
    if len(texts) < 3 or (style.width is None and not style.spaced):
        return False
    if sum(_BULLET.match(text) is not None for text in texts) >= _BULLETS * len(texts):
        return True
    widths = [columns(text) for text in texts]
    if style.width is None:
        return max(widths) < _WRAPPED / 2
    quoted = min(indent(text) for text in texts) > 0 and min(widths[:-1]) >= _EVEN * max(widths)
    width = max(widths) if quoted else max(style.width, max(widths))
    room = [width - own - 1 - _first_word(after) for own, after in zip(widths, texts[1:], strict=False)]
    return sum(each >= _FITS for each in room) >= _ENDED * len(room)


def _first_word(text: str) -> int:
    word = text.split(maxsplit=1)[0]
    return 2 if is_wide(word[0]) else len(word)


def paragraphs_of(block: Block, style: Style) -> Iterator[list[Numbered]]:
    """Where one paragraph of a block ends and the next begins."""
    held: list[Numbered] = []
    for line in block.lines:
        if held and _begins(held, line, style):
            yield held
            held = []
        held.append(line)
    yield held


def _begins(held: Sequence[Numbered], line: Numbered, style: Style) -> bool:
    before = held[-1].text
    if style.width is None or _is_item(line.text, before):
        return True
    if not ends_sentence(before.rstrip()):
        return False
    if indent(line.text) > indent(held[0].text) or indent(line.text) > indent(before):
        return True
    if not style.spaced and indent(line.text) and len(held) > 1 and indent(before) < indent(line.text):
        return True
    return not style.spaced and (_is_first(line.text, held) or columns(before.rstrip()) < 0.8 * style.width)


def _is_item(text: str, before: str) -> bool:
    return bool(_BULLET.match(text) or (_ITEM.match(text) and _LISTED.search(before.rstrip())))


def _is_first(text: str, held: Sequence[Numbered]) -> bool:
    """Whether it is indented as the first line of the paragraph so far is, and the others are not."""
    return indent(text) > 0 and indent(text) == indent(held[0].text)
