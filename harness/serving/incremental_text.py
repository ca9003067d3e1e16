"""From tokens as they come to text as it may be shown: whole characters, no stop text, thoughts apart.

Nothing that was shown is taken back. Knows no models and no requests.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

from harness.data.thinking import BEGINNINGS, ENDS, opens_thoughts

_HALF = "\ufffd"  # what bytes that are no character yet are decoded to


class Spelling:
    """Tokens to text. A character may be spread over several tokens, and how one is written hangs on the one before."""

    def __init__(self, decode: Callable[[Sequence[int]], str]) -> None:
        self._decode = decode
        self._tokens: list[int] = []
        self._begin = self._told = 0  # what is told ends at _told; from _begin on it is decoded again, as context

    def add(self, token: int) -> str:
        """What is certain now and was not before."""
        self._tokens.append(token)
        before, now = self._decode(self._tokens[self._begin : self._told]), self._decode(self._tokens[self._begin :])
        if now.endswith(_HALF) or len(now) <= len(before):
            return ""
        self._begin, self._told = self._told, len(self._tokens)
        return now[len(before) :]

    def rest(self) -> str:
        """What is left at the end, half characters too."""
        before = self._decode(self._tokens[self._begin : self._told])
        left = self._decode(self._tokens[self._begin :])[len(before) :]
        self._begin = self._told = len(self._tokens)
        return left


class Stops:
    """Text up to the first stop text, which is not shown, nor is any beginning of one that may follow."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._texts = texts
        self._held = ""
        self.met = False

    def add(self, piece: str) -> str:
        if self.met:
            return ""
        text = self._held + piece
        found = [place for stop in self._texts if (place := text.find(stop)) >= 0]
        if found:
            self.met, self._held = True, ""
            return text[: min(found)]
        kept = _begun(text, self._texts)
        self._held = text[len(text) - kept :]
        return text[: len(text) - kept]

    def rest(self) -> str:
        left, self._held = self._held, ""
        return left


class Kind(Enum):
    THINKING = "thinking"
    ANSWER = "answer"


@dataclass(frozen=True)
class Part:
    kind: Kind
    text: str


class Thoughts:
    """Text to thoughts and answer, each without the blanks around it and the thoughts without their markers: what
    data.thinking.said_after makes of the whole, but for thoughts that have an end and no beginning."""

    def __init__(self, prompt: str) -> None:
        self._kind = Kind.THINKING if opens_thoughts(prompt) else Kind.ANSWER
        self._head = True  # a marker may come yet
        self._blank = True  # nothing of this kind was shown
        self._held = ""

    def add(self, piece: str) -> list[Part]:
        self._held += piece
        if self._blank:
            self._held = self._held.lstrip()
        if self._head and not self._past_head():
            return []
        parts = []
        if self._kind is Kind.THINKING and (end := _first(self._held, ENDS)) is not None:
            place, marker = end
            parts.append(Part(Kind.THINKING, self._held[:place].rstrip()))
            self._kind, self._blank = Kind.ANSWER, True
            self._held = self._held[place + len(marker) :].lstrip()
        parts.append(self._certain())
        return [part for part in parts if part.text]

    def rest(self) -> list[Part]:
        """What was held back and is no marker after all; blanks at the end are left out."""
        left, self._held = self._held.rstrip(), ""
        return [Part(self._kind, left)] if left else []

    def _past_head(self) -> bool:
        if _is_begun(self._held, BEGINNINGS):
            return False
        marker = next((begin for begin in BEGINNINGS if self._held.startswith(begin)), None)
        if marker is not None:
            self._kind = Kind.THINKING
            self._held = self._held.removeprefix(marker).lstrip()
        self._head = False
        return True

    def _certain(self) -> Part:
        kept = _begun(self._held, ENDS) if self._kind is Kind.THINKING else 0
        text = self._held[: len(self._held) - kept].rstrip()
        self._held = self._held[len(text) :]
        self._blank = self._blank and not text
        return Part(self._kind, text)


def _first(text: str, markers: Sequence[str]) -> tuple[int, str] | None:
    """Where the first of the markers is, and which it is."""
    return min(((place, marker) for marker in markers if (place := text.find(marker)) >= 0), default=None)


def _is_begun(text: str, markers: Sequence[str]) -> bool:
    """Whether more of the text could make it begin with a marker."""
    return any(len(text) < len(marker) and marker.startswith(text) for marker in markers)


def _begun(text: str, markers: Sequence[str]) -> int:
    """How long an end of the text is that a marker may begin with; 0: none."""
    longest = max((len(marker) - 1 for marker in markers), default=0)
    sizes = range(min(longest, len(text)), 0, -1)
    return next((size for size in sizes if any(marker.startswith(text[-size:]) for marker in markers)), 0)
