"""Footnotes at the ends of pages, their marks in the text, and editors' remarks in brackets.

A star, a dagger or a raised number is a mark only in a book that has a note of that sign. Knows blocks and paragraphs.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

_HAN_NUMBER = "一二三四五六七八九十"
_SIGN = rf"\d{{1,3}}|[A-Za-z]|[*†‡§]{{1,3}}|\^\d{{1,3}}|[{_HAN_NUMBER}]{{1,3}}|注\d*"
_NOTE = re.compile(
    rf"\s*(?:\[\s*foot-?note\b\s*:?\s*(\d+|[A-Za-z*†‡])?|\[(?P<square>{_SIGN})\]:?|〔(?P<shell>{_SIGN})〕|［(?P<wide>{_SIGN})］|"
    r"(?P<star>\*{1,3}|[†‡§]{1,2})(?=\s?\S)|(?P<circle>[①-⑳])|(?P<raised>[¹²³⁰-⁹]+)|(?:注释|註釋|原注|译注|譯註|【注】)[:：])\s*(?=\S|$)",
    re.IGNORECASE,
)
_EDITOR = re.compile(
    r"\s*\[\s*(?:illustration|side-?note|transcriber|music|decoration|frontispiece|editor|"
    r"blank page|picture|image|插图|插圖)",
    re.IGNORECASE,
)
_BRACKETED = re.compile(
    rf"\s?\[(?:[1-9]\d{{0,2}}|[A-Za-z]|[*†‡]{{1,3}}|\^\d{{1,3}}|note \d+|注\d*)\](?!\w|\()|"
    rf"\s?\[(?:pg|page|p)\.?\s*\d{{1,4}}\]|\{{(?:pg|page|p)?\.?\s*\d{{1,4}}\}}|〔[\d{_HAN_NUMBER}]{{1,3}}〕|［[\d{_HAN_NUMBER}]{{1,3}}］",
    re.IGNORECASE,
)
_SIGNS = re.compile(r"(?<=[^\s*])(?:\*{1,3}|[†‡§]{1,2}|[①-⑳]|[¹²³⁰-⁹]+)(?![\w*])|(?<=[\u3000-\u9fff])[①-⑳]")


@dataclass(frozen=True)
class Note:
    """`sign`: what marks it in the text, "" where it has none. `sure`: it cannot be an item of a list, or prose."""

    sign: str
    sure: bool


def note_of(first: str) -> Note | None:
    """The footnote that a block with this first line is, if it is one."""
    match = _NOTE.match(first)
    if match is None:
        return None
    sign = next((value for value in match.groups() if value), "")
    return Note(sign, sure=not any(match[name] for name in ("star", "circle", "raised")))


def has_mark(text: str, sign: str) -> bool:
    """Whether the sign stands behind a word."""
    return any(match[0] == sign and not _is_emphasis(match) for match in _SIGNS.finditer(text))


def _is_emphasis(match: re.Match[str]) -> bool:
    """Whether the star ends what another began, as in *this*."""
    if "*" not in match[0]:
        return False
    before = match.string[max(0, match.start() - 60) : match.start()]
    return re.search(r"(?<![^\s(\"“'])\*+[^*]*$", before) is not None


def opens_remark(text: str) -> bool:
    return _EDITOR.match(text) is not None


def is_open(texts: Sequence[str]) -> bool:
    """Whether a bracket that the block opens with is still open at its end."""
    return texts[0].lstrip().startswith("[") and sum(text.count("[") - text.count("]") for text in texts) > 0


def without_marks(text: str, signs: set[str]) -> tuple[str, list[str]]:
    """The text without marks, and those, with what stands before each. `signs`: of notes that the book has."""
    found: list[str] = []

    def take(match: re.Match[str]) -> str:
        sign = match[0].strip()
        bare = sign.strip("[]") if match.re is _BRACKETED else sign
        if bare not in signs and (match.re is _SIGNS or bare.isalpha()):
            return match[0]
        if match.re is _SIGNS and _is_emphasis(match):
            return match[0]
        found.append(match.string[max(0, match.start() - 30) : match.end()].lstrip())
        return ""

    if "[" in text or "{" in text or not text.isascii():
        text = _BRACKETED.sub(take, text)
    if signs:
        text = _SIGNS.sub(take, text)
    return text, found
