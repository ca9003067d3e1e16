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
class Stretch:
    """The lines [first, end), counted from 0: of a text, or of what is around it."""

    first: int
    end: int
    is_text: bool


def stretches_of(lines: Sequence[str]) -> list[Stretch]:
    """What is text and what is not; a file may hold several books of Project Gutenberg, one after another."""
    starts = [at for at, line in enumerate(lines) if _START.match(line)]
    ends = [at for at, line in enumerate(lines) if _END.match(line)]
    stretches: list[Stretch] = []
    done, at = 0, 0
    while True:
        stop = next((end for end in ends if end >= at), len(lines))
        within = [start for start in starts if at <= start < stop]
        first = within[-1] + 1 if within else _after_exporter(lines) if at == 0 else at
        end = min(stop, _notices(lines, first, stop))
        stretches += [Stretch(done, first, is_text=False), Stretch(first, end, is_text=True)]
        done = end
        following = next((start for start in starts if start > stop), None)
        if following is None:
            stretches.append(Stretch(done, len(lines), is_text=False))
            return [each for each in stretches if each.first < each.end]
        at = following


def around(lines: Sequence[str], stretch: Stretch) -> Left | None:
    """What is left out of a stretch that is no text, without the blank lines around it."""
    there = [at for at in range(stretch.first, stretch.end) if lines[at].strip()]
    if not there:
        return None
    return Left(number=there[0] + 1, text="\n".join(lines[there[0] : there[-1] + 1]), why=Why.LICENCE)


def _after_exporter(lines: Sequence[str]) -> int:
    """After the exporter's line, or a wiki template at the top."""
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
