"""English verbs and nouns in their forms, by rule and by a list of irregular pasts. Knows nothing of the lexicon."""

import re
from collections.abc import Mapping

_ONE_SYLLABLE = re.compile(r"^[^aeiou]*[aeiou][^aeiouwxy]$")  # its last letter doubles: run, running
_HISSES = ("s", "x", "z", "ch", "sh")
_SPOKEN_AS_CONSONANT = ("useful", "one")


def third(verb: str) -> str:
    """go → goes."""
    if verb in ("be", "have"):
        return {"be": "is", "have": "has"}[verb]
    return verb + "es" if verb.endswith("o") else plural(verb)


def past(verb: str, irregular: Mapping[str, str]) -> str:
    """carry → carried; `irregular`: base → past."""
    if verb in irregular:
        return irregular[verb]
    if verb.endswith("e"):
        return verb + "d"
    if _ends_in_consonant_and_y(verb):
        return verb[:-1] + "ied"
    return _doubled(verb) + "ed"


def ing(verb: str) -> str:
    """lie → lying."""
    if verb.endswith("ie"):
        return verb[:-2] + "ying"
    if verb.endswith("e") and not verb.endswith("ee") and verb != "be":
        return verb[:-1] + "ing"
    return _doubled(verb) + "ing"


def plural(noun: str) -> str:
    """city → cities, box → boxes."""
    if _ends_in_consonant_and_y(noun):
        return noun[:-1] + "ies"
    return noun + ("es" if noun.endswith(_HISSES) else "s")


def with_article(words: str) -> str:
    """old lamp → an old lamp."""
    vowel = words[0].lower() in "aeiou" and not words.startswith(_SPOKEN_AS_CONSONANT)
    return f"{'an' if vowel else 'a'} {words}"


def _doubled(verb: str) -> str:
    return verb + verb[-1] if _ONE_SYLLABLE.match(verb) else verb


def _ends_in_consonant_and_y(word: str) -> bool:
    return word.endswith("y") and word[-2:-1] not in ("a", "e", "i", "o", "u")
