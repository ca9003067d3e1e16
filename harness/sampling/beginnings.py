"""What prompts begin with, computed once: keys and values of tokens that several of one adapter share.

Kept while they are used, up to a limit of memory. A prompt teaches what to keep by the prompts that wait beside it and
those that came before. Knows nothing of rows.
"""

import copy
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

import mlx.core as mx

from harness.sampling.forward import Cache, Forward

_WORTH = 64  # tokens that are spared: what one more forward pass costs
_REMEMBERED = 64  # prompts of an adapter that new ones are compared with
_FREE_SHARE = 0.1  # of free memory


@dataclass(frozen=True)
class Beginning:
    """`ids`: the tokens; `cache`: one row's, to be copied or merged, never written to."""

    ids: tuple[int, ...]
    cache: Cache

    def leads(self, ids: Sequence[int]) -> bool:
        """Whether the prompt begins so; it keeps at least one token of its own."""
        return len(self.ids) < len(ids) and tuple(ids[: len(self.ids)]) == self.ids

    @property
    def nbytes(self) -> int:
        return sum(part.nbytes for part in self.cache)


class Beginnings:
    """`free`: tells how many bytes of memory are."""

    def __init__(self, forward: Forward, free: Callable[[], float]) -> None:
        self._forward, self._free = forward, free
        self._kept: dict[int, list[Beginning]] = defaultdict(list)  # by slot, the last used last
        self._prompts: dict[int, deque[Sequence[int]]] = defaultdict(lambda: deque(maxlen=_REMEMBERED))

    def of(self, ids: Sequence[int], slot: int, waiting: Iterable[Sequence[int]]) -> Beginning:
        """The longest that is there, or that is worth computing for this prompt, those `waiting` and former ones."""
        best = max(
            (each for each in self._kept[slot] if each.leads(ids)),
            key=lambda each: len(each.ids),
            default=Beginning((), self._forward.new_cache()),
        )
        shared = sorted(common(ids, other) for other in [*waiting, *self._prompts[slot]])
        for place, length in enumerate(shared):
            sharing = len(shared) - place
            if sharing * (length - len(best.ids)) >= _WORTH:
                best = self._longer(best, ids[:length], slot)
        self._used(best, slot)
        return best

    def remember(self, ids: Sequence[int], slot: int) -> None:
        """A prompt that is computed, for those that come after it."""
        self._prompts[slot].append(ids)

    def forget_others(self, slots: Collection[int]) -> None:
        """Those of adapters that are gone."""
        for slot in [*self._kept, *self._prompts]:
            if slot not in slots:
                self._kept.pop(slot, None)
                self._prompts.pop(slot, None)

    def _longer(self, beginning: Beginning, ids: Sequence[int], slot: int) -> Beginning:
        cache = copied(beginning.cache)
        self._forward.feed(mx.array([list(ids[len(beginning.ids) :])]), [slot], cache)
        return Beginning(tuple(ids), cache)

    def _used(self, beginning: Beginning, slot: int) -> None:
        """Keep it as the last used, and as many others as there is room for."""
        if not beginning.ids:
            return
        others = [each for each in self._kept[slot] if each.ids != beginning.ids]
        self._kept[slot] = [*others, beginning]
        room = _FREE_SHARE * self._free() - sum(each.nbytes for kept in self._kept.values() for each in kept)
        for kept in self._kept.values():
            while room < 0 and len(kept) > 1:
                room += kept.pop(0).nbytes


def common(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens both begin with; each keeps at least one of its own. Found by halves, for prompts are long."""
    low, high = 0, min(len(one), len(other)) - 1
    while low < high:
        middle = (low + high + 1) // 2
        if list(one[low:middle]) == list(other[low:middle]):
            low = middle
        else:
            high = middle - 1
    return low


def copied(cache: Cache) -> Cache:
    """A cache of one row that goes its own way."""
    return copy.deepcopy(cache)
