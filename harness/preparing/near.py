"""Rows that say nearly the same, by MinHash: the share of short pieces that two texts have in common.

Each text's pieces (5 characters, 3 of Chinese and the like) are hashed; the least hash under each of 64 permutations is
equal for two texts as often as they share pieces (Broder 1997). Texts that agree in one of 16 bands of 4 are compared.
In NumPy here, many pieces at once, where datasketch hashes one by one in Python; knows texts by their numbers alone.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

_PERMUTATIONS = 64
_BANDS = 16
_LATIN, _WIDE = 5, 3  # characters of a piece
_FIRST_WIDE = 0x2E80  # from here on a character is about a word
_ENOUGH, _TEMPLATE = 50, 0.25
_AT_ONCE = 4096  # pieces; what is computed of them stays in the processor's cache
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)

Pieces = NDArray[np.uint64]
Signature = NDArray[np.uint32]

_random = np.random.default_rng(1997)
_FACTORS = _random.integers(1, 2**63, _PERMUTATIONS, np.uint64) * np.uint64(2) + np.uint64(1)
_SHIFT = np.uint64(32)


def pieces(text: str) -> Pieces:
    """Hashes of the text's pieces, each once, sorted; case and space do not count."""
    codes = np.frombuffer("".join(text.lower().split()).encode("utf-32-le", "surrogatepass"), np.uint32)
    width = _WIDE if 2 * np.count_nonzero(codes >= _FIRST_WIDE) > len(codes) else _LATIN
    if len(codes) < width:
        codes = np.pad(codes, (0, width - len(codes)))
    hashes = np.zeros(len(codes) - width + 1, np.uint64)
    for start in range(width):
        hashes = (hashes ^ codes[start : len(codes) - width + 1 + start]) * _MULTIPLIER
        hashes ^= hashes >> np.uint64(29)
    return np.unique(hashes)


def common(texts: Sequence[Pieces]) -> Pieces:
    """Pieces of a template, such as an instruction that most rows repeat: those of more than a quarter of the texts.

    None of few texts: there nobody can tell.
    """
    if len(texts) < _ENOUGH:
        return np.zeros(0, np.uint64)
    found, counts = np.unique(np.concatenate(texts), return_counts=True)
    return found[counts > _TEMPLATE * len(texts)]


def without(of: Pieces, shared: Pieces) -> Pieces:
    """What is a text's own; all of a text that has nothing of its own."""
    own = np.setdiff1d(of, shared, assume_unique=True) if len(shared) else of
    return own if len(own) else of


def signature(of: Pieces) -> Signature:
    """uint32 [64]: the least hash under each permutation."""
    least = np.full(_PERMUTATIONS, 2**32 - 1, np.uint32)
    for start in range(0, len(of), _AT_ONCE):
        permuted = (of[start : start + _AT_ONCE, None] * _FACTORS) >> _SHIFT
        np.minimum(least, permuted.min(axis=0).astype(np.uint32), out=least)
    return least


def likeness(one: Signature, other: Signature) -> float:
    """About the share of pieces in common; its standard error is 0.06 at most."""
    return float(np.mean(one == other))


class Neighbours:
    """Texts so far. Each new one is told which earlier ones are near it, and then kept or not."""

    def __init__(self) -> None:
        self._signatures: list[Signature] = []
        self._bands: list[dict[bytes, int]] = [{} for _ in range(_BANDS)]
        self._new: Signature | None = None

    def near(self, new: Signature, similarity: float) -> list[int]:
        """The numbers of kept texts at least so like it; of those that share a band, the first is looked at."""
        self._new = new
        shared = {band.get(part.tobytes()) for band, part in self._parts(new)}
        return [
            number
            for number in sorted(each for each in shared if each is not None)
            if likeness(self._signatures[number], new) >= similarity
        ]

    def keep(self) -> None:
        """Keep the text that was last asked about, under the next number."""
        assert self._new is not None, "near was asked"
        for band, part in self._parts(self._new):
            band.setdefault(part.tobytes(), len(self._signatures))
        self._signatures.append(self._new)

    def _parts(self, new: Signature) -> Iterator[tuple[dict[bytes, int], Signature]]:
        return zip(self._bands, new.reshape(_BANDS, -1), strict=True)


class Groups:
    """Which groups belong together, when pairs of them do; the name that sorts first stands for all."""

    def __init__(self) -> None:
        self._leads: dict[str, str] = {}

    def join(self, one: str, other: str) -> None:
        first, second = sorted((self.lead(one), self.lead(other)))
        if first != second:
            self._leads[second] = first

    def lead(self, name: str) -> str:
        while (lead := self._leads.get(name)) is not None:
            if (further := self._leads.get(lead)) is not None:
                self._leads[name] = further
            name = lead
        return name
