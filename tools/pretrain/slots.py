"""What may stand in a pattern's slot, given what was said before: agreement lives here.

The one function `options` serves the generator, which draws among them, and the recogniser, which looks for them in a
text; so what one writes the other accepts. Knows nothing of patterns.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from tools.pretrain.inflection import ing, past, plural, third, with_article
from tools.pretrain.lexicon import Language, Lexicon, Noun, Person


@dataclass(frozen=True)
class Said:
    """What binds the words that follow. `adj`, `does`: of this sentence; `who`, `other`: of the text."""

    noun: Noun
    who: Person | None = None
    other: Person | None = None
    adj: str | None = None
    does: str | None = None
    introduced: bool = False  # `who` was named, so that a pronoun may stand for the name


Options = Iterator[tuple[str, Said]]


def options(slot: str, said: Said, words: Lexicon) -> Options:
    """Each word or phrase that may stand for `{slot}`, and what is said once it does."""
    match slot:
        case "adj":
            for adj in [said.adj] if said.adj else said.noun.fields.get("adj", ()):
                yield adj, replace(said, adj=adj)
        case "adj2":
            denied = {said.adj} | words.opposites.get(said.adj or "", frozenset())
            yield from ((adj, said) for adj in said.noun.fields.get("adj", ()) if adj not in denied)
        case "who":
            yield from _who(said, words)
        case "other":
            for person in [said.other] if said.other else words.people:
                if person.pronoun not in ("我", "I") and person != said.who and not _is_theme(person, said.noun):
                    yield person.name, replace(said, other=person)
        case "ta":
            if said.who:
                yield said.who.pronoun, said
        case _ if slot in words.lists and slot != "few":
            yield from ((word, said) for word in words.lists[slot])
        case _:
            yield from (_chinese if words.language is Language.CHINESE else _english)(slot, said, words)


def _who(said: Said, words: Lexicon) -> Options:
    if said.who is None:
        for person in words.people:
            if person != said.other and not _is_theme(person, said.noun):
                yield person.name, replace(said, who=person, introduced=True)
        return
    yield said.who.name, said
    about_a_person = said.noun.kind in ("kin", "worker")
    if said.introduced and not about_a_person and said.who.pronoun != said.who.name:
        yield said.who.pronoun, said


def _is_theme(person: Person, noun: Noun) -> bool:
    return person.name in (noun.word, noun.marks.get("the"))


def _chinese(slot: str, said: Said, words: Lexicon) -> Options:
    noun, measure = said.noun, said.noun.marks.get("m")
    match slot:
        case "n":
            yield noun.word, said
        case "it":
            yield noun.marks.get("it", "它"), said
        case "one" if measure:
            yield f"一{measure}", said
        case "this" if measure:
            yield from ((f"{which}{measure}", said) for which in "这那")
        case "few" if measure:
            yield from ((f"{number}{measure}", said) for number in words.lists["few"])
        case "does" | "does2":
            yield from _does(slot, said, str)
        case "do" | "did" | "got" | "at":
            for phrase in noun.fields.get(slot, ()):
                yield phrase.replace("@", f"一{measure}").replace("~", noun.word), said


def _does(slot: str, said: Said, form: Callable[[str], str]) -> Options:
    for phrase in said.noun.fields.get("does", ()):
        if phrase != said.does:
            yield form(phrase), replace(said, does=said.does or phrase) if slot == "does" else said


_OBJECT = {"he": "him", "she": "her", "it": "it", "they": "them"}


def _english(slot: str, said: Said, words: Lexicon) -> Options:
    noun, number = said.noun, said.noun.marks.get("num", "s")
    it = "they" if number == "p" else noun.marks.get("it", "it")
    be = "are" if number == "p" else "is"
    name, _, form = slot.partition(".")
    match name:
        case "the":
            yield the(noun), said
        case "this":
            yield noun.marks.get("the") or f"{'these' if number == 'p' else 'this'} {noun.word}", said
        case "it":
            yield it, said
        case "it_obj":
            yield _OBJECT[it], said
        case "is":
            yield be, said
        case "there":
            yield f"there {be}", said
        case "a":
            yield some(noun), said
        case "a_adj":
            yield from ((some(noun, adj), said) for adj in noun.fields.get("adj", ()))
        case "few" if number == "s":
            many = noun.marks.get("plural") or plural(noun.word)
            yield from ((f"{few} {many}", said) for few in words.lists["few"])
        case "at":
            yield from ((place, said) for place in noun.fields.get("at", ()))
        case "does" | "does2":
            yield from _does(name, said, lambda phrase: _verb(phrase, third if number != "p" else str))
        case "got" | "did":
            for phrase in noun.fields.get(name, ()):
                yield _filled(_verb(phrase, lambda verb: past(verb, words.irregular)), noun), said
        case "do":
            for phrase in noun.fields.get("do", ()):
                yield _filled(_verb(phrase, _forms(form, said, words)), noun), said
        case "am":
            yield "am" if said.who and said.who.name == "I" else "is", said
        case "like" | "have" | "know" | "think" | "hope" | "look" | "feel":
            yield _forms("s", said, words)(name), said


def the(noun: Noun) -> str:
    """the river; silence; my father."""
    return noun.marks.get("the") or f"the {noun.word}"


def some(noun: Noun, adj: str | None = None) -> str:
    """a river, some water, love; with an adjective between."""
    words = f"{adj} {noun.word}" if adj else noun.word
    if noun.marks.get("num", "s") == "s":
        return with_article(words)
    return words if noun.marks.get("the") else f"some {words}"


def _filled(phrase: str, noun: Noun) -> str:
    return phrase.replace("@", some(noun)).replace("~", the(noun))


def _verb(phrase: str, form: Callable[[str], str]) -> str:
    verb, space, rest = phrase.partition(" ")
    return form(verb) + space + rest


def _forms(form: str, said: Said, words: Lexicon) -> Callable[[str], str]:
    match form:
        case "s":  # agrees with who
            return str if said.who and said.who.name == "I" else third
        case "s2":
            return third
        case "past":
            return lambda verb: past(verb, words.irregular)
        case "ing":
            return ing
        case _:
            return str


def names(noun: Noun) -> Sequence[str]:
    """How a text may name it."""
    return [noun.word] + ([noun.marks.get("plural") or plural(noun.word)] if noun.word.isascii() else [])
