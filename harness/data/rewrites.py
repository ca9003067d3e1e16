"""Whether a model's rewrite of a passage is one: no refusal, copy, cut text or remark, and as abstract as it must be.

The rules are plain and see the forms of words, not their sense or grammar:
- a copy is told by runs of five words (of five characters in Chinese) that stand in the passage too; a paraphrase that
  stays close word by word is not seen.
- adjectives are told by their endings (-ful, -ous, -less, -able, -ish, -ive, -ly …): "dark", "wet" and "old" are not
  seen, nor any Chinese one. So a rewrite that is well below the passage's length is taken to have dropped details.
- nouns are not told at all: an abstract text has placeholders in brackets, so many for its length, and none of the
  capitalised names that stand within the passage's sentences. A name that only begins sentences is not seen, nor is a
  Chinese one; a common noun that was left in is not either.
Knows nothing of who wrote it.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from harness.data.kinds import Kind
from harness.data.refusals import refusal_in
from harness.data.task_talk import talk_in
from harness.data.units import units

_GRAM = 5  # units
_SLACK = 20  # units by which a short rewrite may be longer than its passage
_SHOWN = 3

Demand = Literal["fewer_details", "placeholders"]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Shares, 0 to 1 or more. `copied`: of a rewrite's runs of five words that its passage has; `length`: of the
    passage's length; `kept`: the same, up to which details count as dropped; `placeholders`: of the rewrite's words.
    """

    copied: float
    length: float
    kept: float
    placeholders: float


@dataclass(frozen=True)
class Fault:
    """Why a rewrite is none, in a line that a model can be told."""

    kind: Kind
    reason: str


@dataclass(frozen=True)
class Rewrite:
    text: str
    passage: str


_Rule = Callable[[Rewrite, Limits], Fault | None]


def fault_of(rewrite: Rewrite, limits: Limits, demand: Demand | None) -> Fault | None:
    """None where it can be used. The text comes without what stood around it, see task_talk.

    `demand`: what this kind of rewrite must do besides.
    """
    rules: list[_Rule] = [_empty, _refuses, _talks, _cut, _copies, _rambles]
    if demand is not None:
        rules.append({"fewer_details": _keeps_details, "placeholders": _keeps_names}[demand])
    return next((fault for rule in rules if (fault := rule(rewrite, limits)) is not None), None)


def _empty(rewrite: Rewrite, limits: Limits) -> Fault | None:
    return None if units(rewrite.text) else Fault(Kind.EMPTY, "the reply is empty")


def _refuses(rewrite: Rewrite, limits: Limits) -> Fault | None:
    """Words that the passage has too are its author's."""
    said = refusal_in(rewrite.text)
    if said is None or said.lower() in rewrite.passage.lower().replace("’", "'"):
        return None
    return Fault(Kind.REFUSED, f"it refuses: {said}")


def _talks(rewrite: Rewrite, limits: Limits) -> Fault | None:
    said = talk_in(rewrite.text)
    if said is None or talk_in(rewrite.passage) is not None:
        return None
    return Fault(Kind.META, f"it talks about the task: {said}")


_SENTENCE = re.compile(r"[.!?]\s|[。！？]")


def _cut(rewrite: Rewrite, limits: Limits) -> Fault | None:
    """Where it and the passage have sentences, it must not end in a word or a comma; a title or a list may."""
    last, of_passage = rewrite.text[-1], rewrite.passage[-1]
    if of_passage.isalnum() or not (last.isalnum() or last in ",，、;；:：-") or not _SENTENCE.search(rewrite.text):
        return None
    return Fault(Kind.CUT, f"it ends within a sentence: … {rewrite.text[-30:]!r}")


def _copies(rewrite: Rewrite, limits: Limits) -> Fault | None:
    copied = share_copied(rewrite.text, rewrite.passage)
    if copied <= limits.copied:
        return None
    return Fault(Kind.COPIED, f"{copied:.0%} of it stands in the passage word for word, more than {limits.copied:.0%}")


def share_copied(text: str, passage: str) -> float:
    """Of the text's runs of five units; of a shorter text, of the whole."""
    said, given = units(text), units(passage)
    size = min(_GRAM, len(said))
    if size == 0:
        return 0.0
    known = {tuple(given[at : at + size]) for at in range(len(given) - size + 1)}
    runs = [tuple(said[at : at + size]) for at in range(len(said) - size + 1)]
    return sum(run in known for run in runs) / len(runs)


def _rambles(rewrite: Rewrite, limits: Limits) -> Fault | None:
    """In words; in characters too, for what has none."""
    said, given = len(units(rewrite.text)), len(units(rewrite.passage))
    if said > limits.length * given + _SLACK:
        return Fault(Kind.META, f"it has {said} words, the passage {given}: it says more than that")
    characters = len(rewrite.text)
    if characters > 2 * limits.length * len(rewrite.passage) + 10 * _SLACK:
        return Fault(Kind.META, f"it has {characters} characters, the passage {len(rewrite.passage)}")
    return None


_SHORTEST = 4  # letters: ugly, holy, able are not looked at
_ENDINGS = ("ful", "ous", "less", "able", "ible", "ish", "ive", "esque", "ly")
# words that only end like one
_NO_ADJECTIVE = frozenset(
    re.findall(
        r"\w+",
        """
        only family reply supply apply rely ally early july italy lily belly jelly assembly anomaly fly bully folly
        rally tally handful mouthful armful spoonful unless bless nonetheless nevertheless regardless table cable
        stable fable vegetable constable dish fish wish publish finish punish vanish perish establish english
        british spanish polish parish rubbish live drive arrive receive believe five give have detective relative
        executive archive olive motive initiative dive hive strive thrive survive deprive revive forgive especially
        really nearly likely multiply comply imply
        """,
    )
)


def _keeps_details(rewrite: Rewrite, limits: Limits) -> Fault | None:
    said, given = len(units(rewrite.text)), len(units(rewrite.passage))
    if said <= limits.kept * given:
        return None
    had = _adjectives(rewrite.passage)
    left = sorted(had & _adjectives(rewrite.text))
    if had and not left and said < given:
        return None
    of = f"adjectives of the passage are left in ({', '.join(left[:_SHOWN])}), and " if left else ""
    return Fault(Kind.LEFT_IN, f"{of}it has {said} words, the passage {given}: details must be left out")


def _adjectives(text: str) -> set[str]:
    return {word for word in units(text) if word.endswith(_ENDINGS) and len(word) > _SHORTEST} - _NO_ADJECTIVE


_PLACEHOLDER = re.compile(r"\[[^\W\d_a-z][^\]a-z\n]{0,30}\]|【[^】\n]{1,12}】")  # [OBJECT], [BODY PART], [人物]
_WORD = re.compile(r"[^\W\d_][\w'’-]*")
_TITLES = re.compile(r"\b(?:Mr|Mrs|Ms|Dr|St|Prof|Capt|Rev|Col|Gen|Lt|Sir|Lady|Lord|Miss)\b\.?")
_NEAR = 20  # characters in which the mark before a word is looked for
_ENDS = '([{"“”‘«「—–*_.!?…:。！？\n'  # marks after which a sentence may begin


def _keeps_names(rewrite: Rewrite, limits: Limits) -> Fault | None:
    places = len(_PLACEHOLDER.findall(rewrite.text))
    bare = _PLACEHOLDER.sub(" ", rewrite.text)
    needed = max(1, round(limits.placeholders * (len(units(bare)) + places)))
    if places < needed:
        return Fault(
            Kind.LEFT_IN, f"it has {places} placeholders such as [PERSON], of {needed} that its length asks for"
        )
    left = sorted(names_within(rewrite.passage) & {_name(each[0]) for each in _WORD.finditer(bare)})
    if left:
        return Fault(Kind.LEFT_IN, f"names of the passage are left in: {', '.join(left[:_SHOWN])}")
    return None


def names_within(text: str) -> set[str]:
    """Capitalised words that stand within a sentence, and never without their capital."""
    text = _TITLES.sub(",", text)  # Mrs. Pell begins no sentence
    words = list(_WORD.finditer(text))
    small = {each[0] for each in words if each[0].islower()}
    found = {_name(each[0]) for each in words if each[0][0].isupper() and not _begins(text, each.start())}
    return {name for name in found if name.lower() not in small and len(name) > 1}


def _begins(text: str, at: int) -> bool:
    before = text[max(at - _NEAR, 0) : at].rstrip(" \t'’")
    return not before or before[-1] in _ENDS


def _name(word: str) -> str:
    """Without what hangs on it: Walter's, I'm."""
    return re.split("['’]", word, maxsplit=1)[0]
