"""The model as rows call it: which adapter each row goes through, prompts in parts, and mlx-lm's caches.

Knows nothing of requests.
"""

from collections.abc import Sequence
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx_lm.models.cache import ArraysCache, CacheList, make_prompt_cache

from harness.models.stacked import StackedAdapters

_PREFILL_TOKENS = 1024  # of a prompt at a time

Cache = list[Any]


class Forward:
    """`adapters`: what slots other than 0 stand for; None: there is nothing but what is in the model."""

    def __init__(self, model: nn.Module, adapters: StackedAdapters | None) -> None:
        self._model, self._adapters = model, adapters

    @property
    def kind(self) -> str:
        return str(getattr(self._model, "model_type", type(self._model).__name__))

    def __call__(self, tokens: mx.array, slots: Sequence[int], cache: Cache | None = None) -> mx.array:
        """tokens [batch, seq]; slots: of each row. Returns logits [batch, seq, vocabulary]."""
        if self._adapters is not None:
            self._adapters.rows(slots)
        return self._model(tokens) if cache is None else self._model(tokens, cache=cache)

    def feed(self, tokens: mx.array, slots: Sequence[int], cache: Cache) -> None:
        """tokens [batch, seq] into the cache, and no logits."""
        begin, width = 0, tokens.shape[1]
        while begin < width:
            end = begin + _PREFILL_TOKENS
            if end == width - 1:
                end -= 1  # nor is the last part to be of one token: see `prefill`
            self(tokens[:, begin:end], slots, cache)
            mx.eval([part.state for part in cache])
            begin = end

    def prefill(self, rest: Sequence[Sequence[int]], slots: Sequence[int], cache: Cache) -> None:
        """Each row's tokens into its place of a merged cache, the shorter ones padded."""
        width = max(map(len, rest))
        if not width:
            return
        if min(map(len, rest)) < width:
            width = max(width, 2)  # mlx-lm's rotating cache takes one token for decoding, which has no padding
        padding = [width - len(ids) for ids in rest]
        if any(padding):
            for part in cache:
                part.prepare(lengths=[len(ids) for ids in rest], right_padding=padding)
        self.feed(mx.array([[*ids, *[0] * more] for ids, more in zip(rest, padding, strict=True)]), slots, cache)
        if any(padding):
            for part in cache:
                part.finalize()

    def new_cache(self) -> Cache:
        """Of one row, empty."""
        return list(make_prompt_cache(self._model))


def can_merge(cache: Cache) -> bool:
    """Whether mlx-lm has batches for it."""
    return all(hasattr(part, "merge") for part in cache)


def merged(caches: Sequence[Cache]) -> Cache:
    """A batch of single rows that have taken as many tokens; they stay as they are."""
    return [parts[0].merge(list(parts)) for parts in zip(*caches, strict=True)]


def extended(cache: Cache, more: Cache) -> Cache:
    for part, joining in zip(cache, more, strict=True):
        part.extend(joining)
    return cache


def filtered(cache: Cache, keep: Sequence[int]) -> Cache:
    if not keep:
        return []
    for part in cache:
        part.filter(mx.array(keep))
    return cache


def single_parts(cache: Cache) -> list[Any]:
    return [each for part in cache for each in (part.caches if isinstance(part, CacheList) else [part])]


def keeps_state(cache: Cache) -> bool:
    """Whether padding could be taken into a state: attention masks it, but not each of mlx-lm's state spaces does."""
    return any(isinstance(part, ArraysCache) for part in single_parts(cache))
