"""Chat rows from the grammar: a theme as the user's turn, prose as the assistant's.

Row i of a seed is always the same, whatever was read before, so that a training resumes anywhere. A fiftieth of all
texts, by their digest, is held out: it is never trained on, however often the grammar writes it. A few rows ask for a
copy of characters or made-up words that the grammar may not know, so that those too are more than noise to the model
when people tune it on texts of their own. Knows no tokens.
"""

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass

from tools.pretrain.grammar import grammar
from tools.pretrain.lexicon import Language
from tools.pretrain.lines import lines

_BARE = 0.75  # share of requests that are the theme alone
_SYSTEM = 0.4  # share of rows with a system message
_HELD_OUT = 50  # one text in so many
_COPIES = 0.06  # share of rows that ask for a copy
# from this row of a training on (its update 4,096) a share of rows asks for notes in short lines, see lines.py
_LINES_FROM = 131_072
_LINES = 0.3
_IN_LINES = {
    Language.CHINESE: ["分行记下：{}", "分行写{}", "用短句分行写：{}"],
    Language.ENGLISH: ["Notes in lines: {}", "In short lines: {}", "Write lines about {}."],
}
_COPY = {Language.CHINESE: "抄写：{}", Language.ENGLISH: "Copy: {}"}
_CONSONANTS, _VOWELS = "bcdfghjklmnpqrstvwxyz", "aeiou"

REQUESTS = {
    Language.CHINESE: ["写写{}。", "请写一段关于{}的话。", "主题：{}", "说说{}"],
    Language.ENGLISH: ["Write about {}.", "Please write a few sentences about {}.", "Theme: {}", "Tell me about {}."],
}
# the first of each is what the harness's sample of poems carries, so that a tuning starts from a known prompt
SYSTEMS = {
    Language.CHINESE: [
        "用户会给出一个主题，请按照给定的主题，切实准确简洁且情感丰富地写一首现代诗",
        "你写简单的短文。",
        "请按照给定的主题写几句话。",
    ],
    Language.ENGLISH: [
        "The user gives a theme. Write a modern poem about it that is precise, short and full of feeling.",
        "You write simple prose.",
        "Write a few sentences about the theme.",
    ],
}


@dataclass(frozen=True)
class Row:
    """`theme` is empty where a copy is asked for."""

    language: Language
    theme: str
    request: str
    system: str | None
    text: str

    @property
    def messages(self) -> list[dict[str, str]]:
        """The prompt's, without the answer."""
        user = {"role": "user", "content": self.request}
        return [user] if self.system is None else [{"role": "system", "content": self.system}, user]

    @property
    def held_out(self) -> bool:
        return hashlib.sha256(self.text.encode()).digest()[0] * _HELD_OUT < 256


def common_characters() -> list[str]:
    """The 3,755 of GB 2312's first level."""
    lead, trail = range(0xB0, 0xD8), range(0xA1, 0xFF)
    cells = [bytes([high, low]) for high in lead for low in trail if (high, low) < (0xD7, 0xFA)]
    return [cell.decode("gb2312") for cell in cells]


def row(seed: int, index: int) -> Row:
    """Languages take turns; themes are equally likely."""
    rng = random.Random(f"{seed}/{index}")
    language = list(Language)[index % 2]
    if rng.random() < _COPIES:
        text = _characters(rng) if language is Language.CHINESE else _words(rng)
        return Row(language, "", _COPY[language].format(text), None, text)
    theme = rng.choice(grammar(language).themes)
    if index >= _LINES_FROM and rng.random() < _LINES:
        return Row(language, theme, rng.choice(_IN_LINES[language]).format(theme), None, lines(language, theme, rng))
    request = theme if rng.random() < _BARE else rng.choice(REQUESTS[language]).format(theme)
    system = rng.choice(SYSTEMS[language]) if rng.random() < _SYSTEM else None
    return Row(language, theme, request, system, grammar(language).text(theme, rng))


def training(seed: int, start: int = 0) -> Iterator[tuple[int, Row]]:
    """Endless: each row that is not held out, with its index."""
    return _rows(seed, start, held_out=False)


def held_out(seed: int, start: int = 0) -> Iterator[tuple[int, Row]]:
    return _rows(seed, start, held_out=True)


def digest(seed: int) -> str:
    """Of rows from both parts: another when the grammar's words, patterns or draws have changed."""
    rows = [row(seed, start + index).text for start in (0, _LINES_FROM) for index in range(500)]
    return hashlib.sha256("".join(rows).encode()).hexdigest()[:16]


def _characters(rng: random.Random) -> str:
    return "".join(rng.choices(_COMMON, k=rng.randint(6, 24)))


def _words(rng: random.Random) -> str:
    def syllable() -> str:
        letters = rng.choice(_CONSONANTS), rng.choice(_VOWELS), rng.choice(_VOWELS + _CONSONANTS)
        return "".join(letters[: rng.choice([2, 3, 3])])

    return " ".join("".join(syllable() for _ in range(rng.randint(1, 3))) for _ in range(rng.randint(2, 6)))


_COMMON = common_characters()


def _rows(seed: int, index: int, *, held_out: bool) -> Iterator[tuple[int, Row]]:
    while True:
        found = row(seed, index)
        if found.held_out is held_out and (found.theme or not held_out):
            yield index, found
        index += 1
