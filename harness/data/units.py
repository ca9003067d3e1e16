"""A text in the units that its language is counted in: characters for Chinese and Japanese, words for others."""

import re

# one Han, kana or hangul character, or a run of letters and digits with the marks inside it
_UNIT = re.compile(
    r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uac00-\ud7af\U00020000-\U0003ffff]"
    r"|[^\W_\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uac00-\ud7af]+(?:['’-][^\W_]+)*"
)
_SENTENCE_END = re.compile(r"[。！？!?…；;]+|\.+(?=\s|$)|\n+")


def units(text: str) -> list[str]:
    """Characters and words in order, in lower case; punctuation is left out."""
    return _UNIT.findall(text.lower())


def lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip()]


def sentences(text: str) -> list[str]:
    """Parted by marks of a sentence's end, and by line breaks, which end a verse."""
    return [part for part in _SENTENCE_END.split(text) if part.strip()]
