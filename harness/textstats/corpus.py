"""The texts that an author is known by, indexed: which words are theirs, and how much of a text is taken from them."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from harness.data.units import units

GRAM = 5  # units; a shorter run shared with the author is language, not memory
_OWN_TIMES = 2.0  # a word is the author's own that they use so many times as often as others do
_OWN_LEAST = 3  # times


class Corpus:
    """`others`: texts to tell the author's words from, such as what the base writes on the same prompts."""

    def __init__(self, texts: Sequence[str], others: Sequence[str] = ()) -> None:
        self._numbers: dict[str, int] = {}
        counts: Counter[str] = Counter()
        rows: list[int] = []
        for text in texts:
            found = units(text)
            counts.update(found)
            rows += [self._numbers.setdefault(unit, len(self._numbers)) for unit in found]
            rows.append(-1 - len(rows))  # no run goes on from one text to the next
        self._ids = np.array(rows, np.int64)
        grams = self._grams(self._ids)
        self._order = np.argsort(grams, kind="stable")
        self._sorted = grams[self._order]
        self.own = _own(counts, Counter(unit for text in others for unit in units(text)))

    def taken(self, text: str) -> tuple[int, float]:
        """The longest run of units that stands in one of the texts (0 below GRAM), and the share of GRAMs that do."""
        ids = np.array([self._numbers.get(unit, -1) for unit in units(text)], np.int64)
        grams = self._grams(ids)
        if not len(grams):
            return 0, 0.0
        first = np.searchsorted(self._sorted, grams, "left")
        last = np.searchsorted(self._sorted, grams, "right")
        known = np.array([(ids[at : at + GRAM] >= 0).all() for at in range(len(grams))]) & (last > first)
        # a run from here on is at most as long as GRAMs follow that are somewhere: most places need no look
        longest, reach = 0, _following(known) + GRAM - 1
        for at in sorted(np.flatnonzero(known), key=lambda at: -int(reach[at])):
            if reach[at] <= longest:
                break
            for place in self._order[first[at] : last[at]]:
                longest = max(longest, _shared(ids, int(at), self._ids, int(place)))
        return longest, float(known.mean())

    @staticmethod
    def _grams(ids: NDArray[np.int64]) -> NDArray[np.uint64]:
        """A hash of each run of GRAM units, uint64 [max(length − GRAM + 1, 0)]."""
        count = len(ids) - GRAM + 1
        if count <= 0:
            return np.zeros(0, np.uint64)
        value = np.zeros(count, np.uint64)
        for offset in range(GRAM):
            with np.errstate(over="ignore"):
                value = value * np.uint64(0x9E3779B97F4A7C15) + ids[offset : offset + count].astype(np.uint64)
                value ^= value >> np.uint64(29)
        return value


def _following(known: NDArray[np.bool_]) -> NDArray[np.int64]:
    """At each place how many in a row are true, from it on."""
    counts = np.zeros(len(known), np.int64)
    count = 0
    for at in range(len(known) - 1, -1, -1):
        count = count + 1 if known[at] else 0
        counts[at] = count
    return counts


def _shared(one: NDArray[np.int64], at: int, other: NDArray[np.int64], place: int) -> int:
    """How many units two sequences have in common from two places on."""
    length = min(len(one) - at, len(other) - place)
    differ = np.flatnonzero(one[at : at + length] != other[place : place + length])
    return int(differ[0]) if len(differ) else length


def _own(author: Counter[str], others: Counter[str]) -> frozenset[str]:
    """Words used often enough, and far more often than elsewhere (rates with one added); all of them without others."""
    size, elsewhere = max(author.total(), 1), max(others.total(), 1)
    return frozenset(
        word
        for word, count in author.items()
        if count >= _OWN_LEAST
        and (not others or count / size > _OWN_TIMES * (others[word] + 1) / (elsewhere + len(others)))
    )
