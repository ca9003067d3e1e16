"""Notes about a theme in short lines: the grammar's phrases without its sentences.

A text takes up a few other nouns beside its theme and breaks into groups of lines. They teach the model that a phrase
can stand without a stop, beside any other; the theme alone still asks for prose. Knows nothing of models.
"""

import functools
import random
import re
from pathlib import Path

from tools.pretrain.grammar import Part, grammar, parts
from tools.pretrain.lexicon import Language, Lexicon, Noun, read
from tools.pretrain.slots import Said, options

_SECOND = re.compile(r"^(\w+?)2$")
_ABOUT_THEME = 0.55  # share of lines
_NEW_GROUP = 0.22  # share of lines that begin a group


@functools.cache
def _patterns(language: Language) -> list[tuple[Part, ...]]:
    return [parts(say) for say in read(Path(__file__).parent / "lexicon" / language / "lines.yaml")]


def lines(language: Language, theme: str, rng: random.Random) -> str:
    """4 to 14 lines."""
    words = grammar(language).words
    nouns = list(words.nouns.values())
    others = [noun for noun in rng.sample(nouns, rng.randint(2, 4)) if noun.word != theme]
    length = rng.randint(4, 14)
    written: list[str] = []
    seen: set[str] = set()
    while len(written) < length:
        about_theme = not written or rng.random() < _ABOUT_THEME
        noun = words.nouns[theme] if about_theme else rng.choice(others)
        second = rng.choice([other for other in (*others, words.nouns[theme]) if other != noun])
        found = _rendered(rng.choice(_patterns(language)), noun, second, words, rng)
        if found is None or found in seen:
            continue
        seen.add(found)
        if written and rng.random() < _NEW_GROUP:
            written.append("")
        written += found.split("/")
    if language is Language.ENGLISH and rng.random() < 0.5:
        written = [line[:1].upper() + line[1:] for line in written]
    return "\n".join(written)


def _rendered(way: tuple[Part, ...], noun: Noun, second: Noun, words: Lexicon, rng: random.Random) -> str | None:
    """None where a slot has no word for its noun. A slot with a 2 is about the second noun, but for adj2."""
    said, beside = Said(noun), Said(second)
    pieces = []
    for part in way:
        piece = part.text
        if part.slot:
            after = _SECOND.match(piece)
            about_second = after is not None and piece != "adj2"
            found = list(
                options(after[1] if after and about_second else piece, beside if about_second else said, words)
            )
            if not found:
                return None
            piece, then = rng.choice(found)
            beside, said = (then, said) if about_second else (beside, then)
        pieces.append(piece)
    return "".join(pieces)
