"""The words of one language, as lexicon/<language>/*.yaml lists them. Knows nothing of sentences."""

import functools
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import yaml

_FOLDER = Path(__file__).parent / "lexicon"


class Language(StrEnum):
    CHINESE = "zh"
    ENGLISH = "en"


@dataclass(frozen=True)
class Noun:
    """A theme. `fields`: what can be said of it, each a list (adj, does, got, do, did, at).

    `marks`: single values: m (measure word), it, num, plural, the.
    """

    word: str
    kind: str
    fields: dict[str, tuple[str, ...]]
    marks: dict[str, str]

    def __hash__(self) -> int:
        return hash(self.word)


@dataclass(frozen=True)
class Person:
    name: str
    pronoun: str


@dataclass(frozen=True)
class Lexicon:
    """`lists`: the small word classes (now, past, next, sky, good, bad, few)."""

    language: Language
    nouns: dict[str, Noun]
    people: tuple[Person, ...]
    lists: dict[str, tuple[str, ...]]
    irregular: dict[str, str]
    opposites: dict[str, frozenset[str]]  # an adjective → those that deny it


_MARKS = {"m", "it", "num", "plural", "the"}


@functools.cache
def lexicon(language: Language) -> Lexicon:
    nouns = {}
    for file in sorted((_FOLDER / language).glob("nouns*.yaml")):
        for kind, entry in read(file).items():
            for word, own in entry["nouns"].items():
                nouns[word] = _noun(word, kind, entry["shared"], own)
    words = read(_FOLDER / language / "words.yaml")
    people = tuple(Person(name, pronoun) for name, pronoun in words.pop("people").items())
    irregular = words.pop("irregular", {})
    opposites = _opposites([pair.split() for pair in words.pop("opposites")])
    lists = {name: tuple(values) for name, values in words.items()}
    return Lexicon(language, nouns, people, lists, irregular, opposites)


def _opposites(pairs: list[list[str]]) -> dict[str, frozenset[str]]:
    words = {word for pair in pairs for word in pair}
    return {
        word: frozenset(other for pair in pairs if word in pair for other in pair if other != word) for word in words
    }


def _noun(word: str, kind: str, shared: dict[str, str], own: dict[str, str]) -> Noun:
    fields = {}
    for name in (shared | own).keys() - _MARKS:
        listed = [value for entry in (shared, own) if name in entry for value in entry[name].split(", ")]
        fields[name] = tuple(dict.fromkeys(listed))
    return Noun(word, kind, fields, {name: value for name, value in (shared | own).items() if name in _MARKS})


def read(file: Path) -> Any:
    return yaml.load(file.read_text("utf-8"), yaml.CSafeLoader)


def patterns(language: Language) -> dict[str, list[Any]]:
    """The place in a text → patterns, each a text or {say: text, without: classes of nouns}."""
    return read(_FOLDER / language / "patterns.yaml")
