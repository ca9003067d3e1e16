"""Texts about a theme, and whether a sentence is one that the grammar could have written.

A text opens, goes on and often closes; who is spoken of stays the same through it. Knows nothing of models.
"""

import functools
import itertools
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from tools.pretrain.lexicon import Language, Lexicon, Noun, Person, lexicon, patterns
from tools.pretrain.slots import Said, options

_CHOICE = re.compile(r"\[([^\]]*)\]")
_SLOT = re.compile(r"\{([\w.]+)\}")
_ENDS = {
    Language.CHINESE: re.compile(r"(?<=[。！？])(?![”])|(?<=[。！？]”)"),
    Language.ENGLISH: re.compile(r"(?<=\.) "),
}
_CLOSES = 0.7  # share of texts whose last sentence is one that closes
_PATIENCE = 100  # tries of a pattern before a phrase may be said twice
_CONTENT = {"adj", "adj2", "does", "does2", "got", "do", "did", "at", "a_adj", "do.s", "do.past", "do.ing", "do.s2"}


@dataclass(frozen=True)
class Part:
    """A piece of a sentence: fixed words, or a slot. `capital`: its first letter is one."""

    text: str
    slot: bool
    capital: bool

    def shown(self, words: str) -> str:
        return words[:1].upper() + words[1:] if self.capital else words


@dataclass(frozen=True)
class Pattern:
    """`ways`: one for each choice in it. `sentences`: how many it makes."""

    say: str
    ways: tuple[tuple[Part, ...], ...]
    without: frozenset[str]
    sentences: int


class Grammar:
    """Of one language. Without randomness of its own: a generator is handed in."""

    def __init__(self, language: Language) -> None:
        self.language = language
        self.words: Lexicon = lexicon(language)
        self.places = {place: [_pattern(entry, language) for entry in listed] for place, listed in _read(language)}
        self._sentences = [
            pair for _, listed in _read(language) for entry in listed for pair in _split(entry, language)
        ]

    @property
    def themes(self) -> list[str]:
        return list(self.words.nouns)

    def text(self, theme: str, rng: random.Random) -> str:
        """2 to 6 sentences about the theme."""
        said = Said(self.words.nouns[theme])
        length = rng.randint(2, 6)
        written: list[str] = []
        used: set[str] = set()  # phrases and patterns, so that a text does not repeat itself
        count = 0
        while count < length:
            last = count == length - 1
            place = "open" if not written else "end" if last and rng.random() < _CLOSES else "more"
            fitting = [entry for entry in self.places[place] if entry.sentences <= length - count]
            sentence, said, sentences = self._sentence(fitting, said, used, rng)
            written.append(sentence)
            count += sentences
        return ("" if self.language is Language.CHINESE else " ").join(written)

    def _sentence(
        self, fitting: list[Pattern], said: Said, used: set[str], rng: random.Random
    ) -> tuple[str, Said, int]:
        for attempt in itertools.count():
            pattern = rng.choice(fitting)
            if said.noun.kind in pattern.without or pattern.say in used:
                continue
            avoided = used if attempt < _PATIENCE else set()
            rendered = self._rendered(rng.choice(pattern.ways), said, avoided, rng)
            if rendered is not None:
                sentence, then, phrases = rendered
                used |= {
                    pattern.say,
                    *phrases,
                    *(no for phrase in phrases for no in self.words.opposites.get(phrase, ())),
                }
                return sentence, then, pattern.sentences
        raise AssertionError("unreachable")

    def _rendered(
        self, way: Sequence[Part], said: Said, avoided: set[str], rng: random.Random
    ) -> tuple[str, Said, list[str]] | None:
        """A sentence and the phrases in it; None where a slot has no word for this theme but those to avoid."""
        said = replace(said, adj=None, does=None)
        pieces: list[str] = []
        phrases: list[str] = []
        for part in way:
            words = part.text
            if part.slot:
                found = list(options(part.text, said, self.words))
                if part.text in _CONTENT and not (part.text == "adj" and said.adj):  # asked and answered: the same word
                    found = [option for option in found if option[0] not in avoided]
                if not found:
                    return None
                words, said = rng.choice(found)
                if part.text in _CONTENT:
                    phrases.append(words)
            pieces.append(part.shown(words))
        return "".join(pieces), said, phrases

    def sentences(self, text: str) -> list[str]:
        """A text in sentences."""
        return split(text, self.language)

    def accepts(self, sentence: str, theme: str | None = None) -> bool:
        """Could the grammar have written it, about `theme` or, without one, about any?"""
        # most patterns fall out by their fixed words, before any slot is tried
        ways = [
            (way, without)
            for way, without in self._sentences
            if all(part.slot or part.text in sentence for part in way)
        ]
        nouns = self.words.nouns.values() if theme is None else [self.words.nouns[theme]]
        return any(self._accepts(sentence, noun, ways) for noun in nouns)

    def _accepts(self, sentence: str, noun: Noun, ways: list[tuple[tuple[Part, ...], frozenset[str]]]) -> bool:
        pronouns = sorted({person.pronoun for person in self.words.people})
        starts = [Said(noun), *(Said(noun, who=Person(pronoun, pronoun)) for pronoun in pronouns)]
        return any(
            self._matches(way, sentence, 0, 0, start)
            for way, without in ways
            if noun.kind not in without
            for start in starts
        )

    def _matches(self, way: Sequence[Part], sentence: str, part: int, at: int, said: Said) -> bool:
        if part == len(way):
            return at == len(sentence)
        here = way[part]
        found: Iterator[tuple[str, Said]] = iter([(here.text, said)])
        if here.slot:
            found = options(here.text, said, self.words)
        return any(
            self._matches(way, sentence, part + 1, at + len(words), then)
            for words, then in found
            if sentence.startswith(here.shown(words), at)
        )


@functools.cache
def grammar(language: Language) -> Grammar:
    return Grammar(language)


def _read(language: Language) -> list[tuple[str, list[tuple[str, frozenset[str]]]]]:
    """The place → the patterns' texts, each with the classes of nouns that it is not for."""
    read = []
    for place, listed in patterns(language).items():
        entries = [entry if isinstance(entry, dict) else {"say": entry, "without": []} for entry in listed]
        read.append((place, [(entry["say"], frozenset(entry["without"])) for entry in entries]))
    return read


def _pattern(entry: tuple[str, frozenset[str]], language: Language) -> Pattern:
    text, without = entry
    return Pattern(text, tuple(parts(way) for way in _ways(text)), without, len(split(text, language)))


def _split(entry: tuple[str, frozenset[str]], language: Language) -> Iterator[tuple[tuple[Part, ...], frozenset[str]]]:
    """Each sentence of a pattern by itself, in each way."""
    text, without = entry
    for sentence in split(text, language):
        yield from ((parts(way), without) for way in _ways(sentence))


def split(text: str, language: Language) -> list[str]:
    """A text in sentences."""
    return [sentence for piece in _ENDS[language].split(text) if (sentence := piece.strip())]


def _ways(text: str) -> Iterator[str]:
    """Every choice of the [a|b] in a text."""
    pieces = _CHOICE.split(text)
    choices = [piece.split("|") if index % 2 else [piece] for index, piece in enumerate(pieces)]
    yield from ("".join(chosen) for chosen in itertools.product(*choices))


def parts(way: str) -> tuple[Part, ...]:
    found = []
    before = ""  # what was written so far; a slot counts as a letter
    for index, piece in enumerate(_SLOT.split(way)):
        is_slot = index % 2 == 1
        if piece:
            starts = before.rstrip()[-1:] in ("", "“") or before.endswith(". ")
            found.append(Part(piece, slot=is_slot, capital=starts))
            before += "x" if is_slot else piece
    return tuple(found)
