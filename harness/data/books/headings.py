"""Which short blocks are headings, and which of those open a part that is no prose of the author's.

Knows single blocks; where a chapter ends is book.py's.
"""

import re
from collections.abc import Sequence
from enum import Enum, auto

_NUMBER = (
    r"(?:[ivxlcdm]+|\d+|(?:the\s+)?(?:first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|last|"
    r"one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|(?:thir|four|fif|six|seven|eigh|nine)teen|"
    r"(?:twenty|thirty|forty|fifty)(?:[- ]\w+)?))"
)
_CHAPTER = re.compile(
    rf"\W*(?:chapter|chapitre|kapitel|book|part|volume|vol\.|section|canto|act|scene|letter|stave|lecture|essay)\s+{_NUMBER}"
    r"(?!\w)(?:\s*|\s*[.:—–-].*|\s+(?-i:[A-Z\"“])[^,;]*)$",
    re.IGNORECASE,
)
_HAN_CHAPTER = re.compile(
    r"[\s\u3000【〔]*(?:第\s*[零〇一二三四五六七八九十百千两兩\d０-９]{1,7}\s*[章回节節卷部篇折集幕]|卷[一二三四五六七八九十百]{1,4}(?!\w)|"
    r"(?:楔子|序幕|尾声|尾聲|引子|终章|終章)(?!\w)).{0,40}"
)
_HAN_UNIT = re.compile(r"(?<=[零〇一二三四五六七八九十百千两兩\d０-９])\s*[章回节節卷部篇折集幕]")
_HAN_ENDS = ("。", "，", "；", "、", "：")
_MARKED = re.compile(r"#{1,6}\s+\S")
_UNDERLINE = re.compile(r"\s*(?:={3,}|-{3,}|~{3,})\s*")
_ROMAN = re.compile(r"\W*(?=[IVXLC])(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})\W*")
_NUMBERED = re.compile(
    r"\s*(?:(?=[IVXLC])(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})|\d{1,3})[.):—-]*\s+[A-Z\u4e00-\u9fff][^.!?。！？]{0,60}[.]?\s*"
)
_PROSE_ENDS = re.compile(r"[,;:.!?…\"”’'）)\]—-]\s*$")
_PREFIX = re.compile(rf"^\W*(?:{_NUMBER}[.:)\s—–-]+)?", re.IGNORECASE)
_LONGEST = 120
_TITLE_WORDS = 8
_HAN_TITLE = 20


class Level(Enum):
    NONE = auto()
    WEAK = auto()  # short and set apart: maybe a title
    STRONG = auto()  # says by itself that a chapter begins


def level(texts: Sequence[str]) -> Level:
    """Of a block of lines without blank ones."""
    if len(texts) == 2 and _UNDERLINE.fullmatch(texts[1]) and texts[0].strip():
        return Level.STRONG
    joined = " ".join(text.strip() for text in texts)
    if len(texts) > 3 or len(joined) > _LONGEST or not joined:
        return Level.NONE
    if is_strong(texts[0]) or _ROMAN.fullmatch(joined):
        return Level.STRONG
    return Level.WEAK if _is_title(joined, len(texts)) else Level.NONE


def is_strong(line: str) -> bool:
    """Whether the line alone says that a chapter begins."""
    if len(line) > _LONGEST:
        return False
    if _HAN_CHAPTER.fullmatch(line):
        return not line.rstrip().endswith(_HAN_ENDS)
    return bool(_CHAPTER.match(line) or _MARKED.match(line))


def kind(text: str) -> str:
    """What it calls its part, such as chapter or 章: two of one kind after each other are a list of contents."""
    if han := _HAN_UNIT.search(text):
        return han[0]
    first = text.split(maxsplit=1)[0].strip("*_#.:—").casefold() if text.strip() else ""
    return "" if _ROMAN.fullmatch(first.upper()) or first.isdigit() else first


def names_section(text: str, names: Sequence[str]) -> bool:
    """Whether the heading is one of `names` (in lower case), also with a number before or more after it."""
    bare = _PREFIX.sub("", text.strip().lstrip("#【〔 "), count=1).casefold().strip(" \t.:*_=-—】〕\u3000")
    bare = bare.split("\n")[0].strip(" .:")
    if bare.isascii():
        return any(
            bare == name or bare.startswith((f"{name} to ", f"{name} by ", f"{name}:", f"{name}.")) for name in names
        )
    return bare.replace(" ", "").replace("\u3000", "") in names


def _is_title(joined: str, lines: int) -> bool:
    if joined == joined.upper() and joined != joined.lower():
        return len(joined.split()) <= 2 * _TITLE_WORDS
    if lines > 1:
        return False
    if _NUMBERED.fullmatch(joined):
        return True
    if joined.isascii() or " " in joined.strip():
        words = joined.split()
        return len(words) <= _TITLE_WORDS and words[0][:1].isupper() and not _PROSE_ENDS.search(joined)
    return (
        len(joined.strip()) <= _HAN_TITLE
        and not _PROSE_ENDS.search(joined)
        and joined.strip()[-1] not in "。！？，；：、”」』…"
    )
