"""What a book is parted into, and the few measures of a line that all parts of the reading share."""

import re
from dataclasses import dataclass
from enum import StrEnum

_WIDE = re.compile(
    "[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\U00020000-\U0003ffff]"
)
_HAN = re.compile("[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_SENTENCE_END = re.compile(r"[.!?…。！？：:][\s\"'”’»」』）)\]_*]*$")


class Why(StrEnum):
    """Why a piece is no prose of the author's."""

    LICENCE = "licence and file header"
    FRONT = "front matter"
    SECTION = "section left out"
    HEADING = "heading"
    PAGE = "page number"
    HEAD = "running head"
    ORNAMENT = "ornament"
    EDITOR = "editor's remark"
    NOTE = "footnote"
    MARK = "mark of a footnote or page"
    CONTENTS = "contents or index"
    VERSE = "verse, list or table"


@dataclass(frozen=True, kw_only=True)
class Left:
    """What is left out. `number`: its first line, from 1."""

    number: int
    text: str
    why: Why


@dataclass(frozen=True, kw_only=True)
class Heading:
    """Where a chapter begins."""

    number: int
    text: str


@dataclass(frozen=True, kw_only=True)
class Paragraph:
    """Prose in one line. `number`: its first line in the file, from 1."""

    number: int
    text: str


@dataclass(frozen=True)
class Numbered:
    """A line with its number in the file, from 1."""

    number: int
    text: str


def columns(line: str) -> int:
    """How wide a line is printed: Chinese characters take two columns."""
    return len(line) if line.isascii() else len(line) + len(_WIDE.findall(line))


def is_wide(character: str) -> bool:
    return _WIDE.match(character) is not None


def count_words(text: str) -> int:
    return len(text.split())


def count_han(text: str) -> int:
    """Chinese and Japanese characters, without punctuation."""
    return 0 if text.isascii() else len(_HAN.findall(text))


def ends_sentence(text: str) -> bool:
    return _SENTENCE_END.search(text[-12:]) is not None


def indent(line: str) -> int:
    return len(line) - len(line.lstrip())
