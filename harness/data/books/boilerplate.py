"""What those who publish a text put before and after it: Project Gutenberg's header and licence, Wikisource's notices.

A file without any is its own body. Knows lines alone.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from harness.data.books.pieces import Left, Why

_START = re.compile(r"\s*\*{3}\s*START OF (?:THE|THIS) PROJECT GUTENBERG|\*END[* ]*THE SMALL PRINT!", re.IGNORECASE)
_END = re.compile(
    r"\s*\*{3}\s*END OF (?:THE|THIS) PROJECT GUTENBERG|\s*End of (?:the |this )?Project Gutenberg|"
    r"\*{3}START: FULL LICENSE",
    re.IGNORECASE,
)
_EXPORTED = re.compile(
    r"\s*(?:Exported from Wikisource on|导出自维基文库|導出自維基文庫|从维基文库导出|從維基文庫匯出)", re.IGNORECASE
)
_NOTICE = re.compile(
    r"\W*(?:About this digital edition|This e-?book comes from the online library Wikisource|"
    r"This work is in the public domain in|This work is licensed under|Public domainPublic domain|"
    r"关于这份电子书|關於這份電子書|关于本电子书|[这這本此][部份个個]?作品在.{0,40}[属屬]于?於?公有[领領]域|"
    r"\{\{(?:PD|Public domain|CC|GFDL)[^{}]*\}\}|\[\[(?:Category|分类|分類):)",
    re.IGNORECASE,
)
_FIRST_PART = 0.3  # of the lines: where an exporter's remark may stand
_LAST_PART = 0.4  # of the lines, and 80 at least: where notices may begin
_LEAST_LAST = 80
_TEMPLATE_LINES = 40


@dataclass(frozen=True)
class Body:
    """The lines [first, end) are the text, counted from 0."""

    first: int
    end: int
    left: list[Left]


def find_body(lines: Sequence[str]) -> Body:
    first = _after_header(lines)
    end = next((at for at in range(first, len(lines)) if _END.match(lines[at])), len(lines))
    end = min(end, _notices(lines, first, end))
    left = [_left(lines, start, stop) for start, stop in ((0, first), (end, len(lines)))]
    return Body(first, end, [each for each in left if each.text])


def _after_header(lines: Sequence[str]) -> int:
    """After Gutenberg's marker or the exporter's line; else after a wiki template at the top."""
    marks = [at for at, line in enumerate(lines) if _START.match(line)]
    if marks:
        return marks[-1] + 1 if len(marks) < 3 else marks[0] + 1
    for at in range(int(len(lines) * _FIRST_PART)):
        if _EXPORTED.match(lines[at]):
            return at + 1
    return _after_template(lines)


def _after_template(lines: Sequence[str]) -> int:
    start = next((at for at, line in enumerate(lines) if line.strip()), 0)
    if start >= len(lines) or not lines[start].lstrip().startswith("{{"):
        return 0
    depth = 0
    for at in range(start, min(len(lines), start + _TEMPLATE_LINES)):
        depth += lines[at].count("{{") - lines[at].count("}}")
        if depth <= 0:
            return at + 1
    return 0


def _notices(lines: Sequence[str], first: int, end: int) -> int:
    """Where the last notices begin."""
    part = max(_LEAST_LAST, int((end - first) * _LAST_PART))
    return next((at for at in range(max(first, end - part), end) if _NOTICE.match(lines[at])), end)


def _left(lines: Sequence[str], start: int, stop: int) -> Left:
    there = [at for at in range(start, stop) if lines[at].strip()]
    text = "\n".join(lines[there[0] : there[-1] + 1]) if there else ""
    return Left(number=there[0] + 1 if there else 0, text=text, why=Why.LICENCE)
