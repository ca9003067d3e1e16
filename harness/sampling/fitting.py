"""How many rows may be written at a time: whether an architecture has batches at all, and what memory holds.

Knows nothing of requests.
"""

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import mlx.core as mx
from mlx_lm.models.cache import ArraysCache, RotatingKVCache

from harness.errors import reason
from harness.models.alike import alike
from harness.models.stacked_layer import BARE
from harness.sampling.forward import Cache, Forward, can_merge, extended, keeps_state, merged, single_parts

_CACHE_STEP = 256  # tokens that mlx-lm makes room for at a time; no more than a window's, where it keeps one
_TRIED = (48, 11, 8)  # tokens of the prompts of a batch, to see whether it is what its rows are
_FREE_SHARE = 0.5  # of free memory, for the keys and values of all rows


class Fitting:
    """`free`: tells how many bytes of memory are. `tell` hears why there is one row at a time.

    What it needs to know of a model it finds out when a second row is to be written.
    """

    def __init__(
        self, forward: Forward, batch_size: int, free: Callable[[], float], tell: Callable[[str], None]
    ) -> None:
        self._forward, self._batch_size, self._free, self._tell = forward, batch_size, free, tell
        self._row: Cache | None = None  # of a few tokens

    def size(self, lengths: Sequence[int], prompt: Sequence[int]) -> int:
        """At most so many rows, of these lengths in tokens or shorter ones; `prompt`: one to try batches with."""
        if self._batch_size == 1 or len(lengths) < 2:
            return 1
        if self._row is None:
            self._find_out(prompt)
        if self._row is None:
            return 1
        needed = row_bytes(self._row, max(lengths))
        return max(1, min(self._batch_size, int(_FREE_SHARE * self._free() / max(needed, 1))))

    def _find_out(self, prompt: Sequence[int]) -> None:
        """The cache of a row; and none, where batches are not what their rows are."""
        why = _why_one(self._forward, list(prompt[: _TRIED[0]]))
        if why is None:
            self._row = self._forward.new_cache()
            self._forward.feed(mx.array([list(prompt[: _TRIED[0]])]), [BARE], self._row)
        else:
            self._batch_size = 1
            self._tell(f"texts are written one by one: {why}")


def row_bytes(row: Cache, longest: int) -> float:
    """What a row of `longest` tokens takes, by the cache of one of few."""
    return sum(_part_bytes(part, longest) for part in single_parts(row))


def _part_bytes(part: Any, longest: int) -> float:
    if isinstance(part, ArraysCache) or not part.nbytes:  # a state is as large after any tokens
        return float(part.nbytes)
    kept = min(longest, part.max_size) if isinstance(part, RotatingKVCache) else longest
    return float(part.nbytes / part.keys.shape[-2] * _room(kept))


def _why_one(forward: Forward, prompt: list[int]) -> str | None:
    """Why mlx-lm has no batches of this model, or makes something else of a batch than of each of its rows."""
    if not can_merge(forward.new_cache()):
        return f"mlx-lm has no batches for the cache of {forward.kind}"
    prompts = [(prompt * length)[-length:] for length in _TRIED]
    alone = mx.concatenate([forward(mx.array([[*ids, ids[0]]]), [BARE])[:, -2:] for ids in prompts])
    try:
        together = _together(forward, prompts)
    except (RuntimeError, MemoryError):  # the device's
        raise
    except Exception as error:  # what an architecture's own code raises
        return f"with mlx-lm's {forward.kind}, a batch ends with {reason(error)}"
    if alike(together, alone) or alike(together, mx.concatenate([_together(forward, [ids]) for ids in prompts])):
        return None  # the second: some models compute something else without a cache
    return f"with mlx-lm's {forward.kind}, a row of a batch gets other logits than alone"


def _together(forward: Forward, prompts: Sequence[list[int]]) -> mx.array:
    """Logits after each prompt, and after its first token behind it, [prompts, 2, vocabulary]."""
    slots = [BARE] * len(prompts)
    groups = [[ids] for ids in prompts] if keeps_state(forward.new_cache()) else [prompts]
    cache = reduce(extended, [_prefilled(forward, group) for group in groups])
    tokens = [mx.array([[ids[place]] for ids in prompts]) for place in (-1, 0)]
    return mx.stack([forward(column, slots, cache)[:, -1] for column in tokens], axis=1)


def _prefilled(forward: Forward, prompts: Sequence[list[int]]) -> Cache:
    cache = merged([forward.new_cache() for _ in prompts])
    forward.prefill([ids[:-1] for ids in prompts], [BARE] * len(prompts), cache)
    return cache


def _room(tokens: int) -> int:
    """How many tokens mlx-lm makes room for."""
    return -(-tokens // _CACHE_STEP) * _CACHE_STEP
