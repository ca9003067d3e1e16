"""Many texts from one model: prompts prefilled together, their common beginning once, rows joining as others finish.

A text depends on the weights, its prompt and its seed: on the CPU not on the batch that it was written in. Where
rounding, which differs from batch to batch, could have decided a token, the row is computed alone and decides. Knows
nothing of adapters: what is attached to the model writes.
"""

import copy
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx_lm.models.cache import ArraysCache, CacheList, make_prompt_cache

from harness.errors import reason
from harness.machine.device import free_memory
from harness.sampling.choose import Choice

_PREFILL_TOKENS = 1024  # of a prompt at a time
_JOINING = 8  # at most so many rows are prefilled together
_CACHE_STEP = 256  # tokens that mlx-lm makes room for at a time
_TRIED_TOKENS = 48  # of a prompt, to see whether a batch is what its rows are
_OTHER = 0.05  # of the spread of logits, on average: a hundredth of it is rounding in 16 bits, a wrong mask a whole one
_FREE_SHARE = 0.5  # of free memory, for the keys and values of all rows

Cache = list[Any]


@dataclass(frozen=True)
class Request:
    ids: list[int]
    seed: int


@dataclass(frozen=True)
class Decoded:
    """`tokens` without the end marker; `seconds`: this text's share of its batches' time."""

    tokens: list[int]
    seconds: float
    finish_reason: str


@dataclass
class _Row:
    index: int
    request: Request
    written: list[int] = field(default_factory=list)
    launched: int = 0
    seconds: float = 0.0


class Decoder:
    """`chooser`: from logits and luck to tokens (choose.Chooser).

    `settle`: let what rounding could have decided be decided by the row alone; default: on the CPU. `free`: tells how
    many bytes of memory are. `tell` hears why texts are written one by one where more were asked for.
    """

    def __init__(
        self,
        model: nn.Module,
        end_ids: set[int],
        chooser: Callable[[mx.array, mx.array], Choice],
        *,
        max_tokens: int,
        batch_size: int,
        settle: bool | None = None,
        free: Callable[[], float] = free_memory,
        tell: Callable[[str], None] = lambda line: None,
    ) -> None:
        self._model, self._end_ids, self._choose = model, end_ids, chooser
        self._max_tokens, self._batch_size, self._free, self._tell = max_tokens, batch_size, free, tell
        self._settle = mx.default_device() == mx.cpu if settle is None else settle

    def write(self, requests: Sequence[Request]) -> Iterator[tuple[int, Decoded]]:
        """The index of each request with what was written, as they finish."""
        every = [_Row(index, request) for index, request in enumerate(requests)]
        start = self._prefix([row.request.ids for row in every])
        alike = _keeps_state(start[1])  # prompts of one length only are prefilled together
        waiting = deque(sorted(every, key=lambda row: len(row.request.ids)) if alike else every)
        size = self._bearing(self._fitting(start, requests), requests)
        rows: list[_Row] = []
        cache: Cache = []
        ahead: Choice | None = None
        clock = time.perf_counter()
        while waiting or rows:
            room = size - len(rows)
            if waiting and (not rows or room >= min(_JOINING, max(size // 4, 1))):
                joining = _next(waiting, min(room, _JOINING), alike=alike)
                joined = self._prefilled(joining, start)
                first = self._launch(joining, mx.array([row.request.ids[-1] for row in joining]), joined)
                ahead = first if ahead is None else _joined(ahead, first)
                cache = joined if not cache else _extended(cache, joined)
                rows += joining
                if len(rows) < size and waiting:
                    continue
            assert ahead is not None
            following = None if self._settle else self._launch(rows, ahead.tokens, cache)
            tokens = self._read(rows, ahead)
            now = time.perf_counter()
            finished: list[tuple[int, Decoded]] = []
            for row, token in zip(rows, tokens, strict=True):
                row.seconds += (now - clock) / len(rows)
                if token not in self._end_ids:
                    row.written.append(token)
                if token in self._end_ids or len(row.written) == self._max_tokens:
                    reason = "stop" if token in self._end_ids else "length"
                    finished.append((row.index, Decoded(row.written, row.seconds, reason)))
            clock = now
            ended = {index for index, _ in finished}
            keep = [place for place, row in enumerate(rows) if row.index not in ended]
            if finished:
                rows = [rows[place] for place in keep]
                cache = _filtered(cache, keep)
                following = _chosen(following, keep) if following is not None and keep else None
            if following is None and rows:
                following = self._launch(rows, mx.array([tokens[place] for place in keep]), cache)
            ahead = following
            yield from finished
            if finished:
                clock = time.perf_counter()  # what the caller did is not writing

    def _launch(self, rows: Sequence[_Row], tokens: mx.array, cache: Cache) -> Choice:
        """Begin to compute what follows `tokens` [batch]."""
        logits = self._model(tokens[:, None], cache=cache)[:, -1]
        luck = mx.array([[row.request.seed, row.launched] for row in rows], mx.uint32)
        for row in rows:
            row.launched += 1
        choice = self._choose(logits, luck)
        mx.async_eval(choice.tokens, choice.doubtful)
        return choice

    def _read(self, rows: Sequence[_Row], choice: Choice) -> list[int]:
        tokens = [int(token) for token in choice.tokens.tolist()]
        if self._settle:
            for place, doubtful in enumerate(choice.doubtful.tolist()):
                if doubtful:
                    tokens[place] = self._alone(rows[place])
        return tokens

    def _alone(self, row: _Row) -> int:
        """The row's next token, from a forward pass of nothing else."""
        logits = self._model(mx.array([[*row.request.ids, *row.written]]))[:, -1]
        luck = mx.array([[row.request.seed, len(row.written)]], mx.uint32)
        return int(self._choose(logits, luck).tokens.item())

    def _prefix(self, prompts: Sequence[list[int]]) -> tuple[int, Cache]:
        """What all prompts begin with, computed once: its length in tokens, and its keys and values."""
        length = _common(prompts) if len(prompts) > 1 else 0
        cache = make_prompt_cache(self._model)
        if length:
            self._feed(mx.array([list(prompts[0][:length])]), cache)
        return length, cache

    def _fitting(self, start: tuple[int, Cache], requests: Sequence[Request]) -> int:
        """How many rows may be written at a time: what was asked for, or fewer where memory is short."""
        length, cache = start
        if len(requests) < 2 or self._batch_size == 1:
            return 1
        if not all(hasattr(part, "merge") for part in cache):
            return self._one(f"mlx-lm has no batches for the cache of {self._kind}")
        if not length:
            cache, length = make_prompt_cache(self._model), len(requests[0].ids)
            self._feed(mx.array([requests[0].ids]), cache)
        longest = max(len(request.ids) for request in requests) + self._max_tokens
        row = sum(part.nbytes for part in cache) * _room(longest) / _room(length)
        return max(1, min(self._batch_size, int(_FREE_SHARE * self._free() / row)))

    def _bearing(self, size: int, requests: Sequence[Request]) -> int:
        """So many rows at a time, or one where mlx-lm makes something else of a batch than of each of its rows."""
        if size == 1:
            return 1
        longest = max((request.ids for request in requests), key=len)[-_TRIED_TOKENS:]
        prompts = [longest, longest[len(longest) // 3 :]]
        alone = mx.concatenate([self._model(mx.array([[*ids, ids[0]]]))[:, -2:] for ids in prompts])
        try:
            together = self._together(prompts)
        except (RuntimeError, MemoryError):  # the device's
            raise
        except Exception as error:  # what an architecture's own code raises
            return self._one(f"with mlx-lm's {self._kind}, a batch ends with {reason(error)}")
        if _alike(together, alone) or _alike(together, mx.concatenate([self._together([ids]) for ids in prompts])):
            return size  # the second: some models compute something else without a cache
        return self._one(f"with mlx-lm's {self._kind}, a row of a batch gets other logits than alone")

    @property
    def _kind(self) -> str:
        return str(getattr(self._model, "model_type", type(self._model).__name__))

    def _one(self, why: str) -> int:
        self._tell(f"texts are written one by one: {why}")
        return 1

    def _together(self, prompts: Sequence[list[int]]) -> mx.array:
        """Logits after each prompt, and after its first token behind it, [prompts, 2, vocabulary]."""
        rows = [_Row(index, Request(ids, 0)) for index, ids in enumerate(prompts)]
        start = 0, make_prompt_cache(self._model)
        if _keeps_state(start[1]):
            cache = reduce(_extended, [self._prefilled([row], start) for row in rows])
        else:
            cache = self._prefilled(rows, start)
        tokens = [mx.array([[ids[place]] for ids in prompts]) for place in (-1, 0)]
        logits = [self._model(column, cache=cache)[:, -1] for column in tokens]
        return mx.stack(logits, axis=1)

    def _prefilled(self, rows: Sequence[_Row], start: tuple[int, Cache]) -> Cache:
        """Keys and values of the rows' prompts but for their last token."""
        length, beginning = start
        if not all(hasattr(part, "merge") for part in beginning):
            cache = copy.deepcopy(beginning)
        else:
            cache = [part.merge([part] * len(rows)) for part in beginning]
        rest = [list(row.request.ids[length:-1]) for row in rows]
        width = max(map(len, rest))
        if width:
            if min(map(len, rest)) < width:
                width = max(width, 2)  # mlx-lm's rotating cache takes one token for decoding, which has no padding
            padding = [width - len(ids) for ids in rest]
            if any(padding):
                for part in cache:
                    part.prepare(lengths=[len(ids) for ids in rest], right_padding=padding)
            self._feed(mx.array([ids + [0] * more for ids, more in zip(rest, padding, strict=True)]), cache)
            if any(padding):
                for part in cache:
                    part.finalize()
        return cache

    def _feed(self, tokens: mx.array, cache: Cache) -> None:
        """tokens [batch, seq] into the cache."""
        begin, width = 0, tokens.shape[1]
        while begin < width:
            end = begin + _PREFILL_TOKENS
            if end == width - 1:
                end -= 1  # nor is the last part to be of one token
            self._model(tokens[:, begin:end], cache=cache)
            mx.eval([part.state for part in cache])
            begin = end


def _next(waiting: deque[_Row], count: int, *, alike: bool) -> list[_Row]:
    """The next rows to prefill together, `count` at most, and all of one length if they are to be `alike`."""
    rows = [waiting.popleft()]
    while waiting and len(rows) < count and not (alike and len(waiting[0].request.ids) != len(rows[0].request.ids)):
        rows.append(waiting.popleft())
    return rows


def _keeps_state(cache: Cache) -> bool:
    """Whether padding could be taken into a state: attention masks it, but not each of mlx-lm's state spaces does."""
    parts = [each for part in cache for each in (part.caches if isinstance(part, CacheList) else [part])]
    return any(isinstance(part, ArraysCache) for part in parts)


def _alike(logits: mx.array, others: mx.array) -> bool:
    """Whether they differ by rounding; logits [rows, tokens, vocabulary]."""
    one, other = logits.astype(mx.float32), others.astype(mx.float32)
    return bool((mx.abs(one - other).mean(axis=-1) / mx.std(other, axis=-1)).max().item() < _OTHER)


def _room(tokens: int) -> int:
    """How many tokens mlx-lm makes room for."""
    return -(-tokens // _CACHE_STEP) * _CACHE_STEP


def _common(prompts: Sequence[list[int]]) -> int:
    """How many tokens all prompts begin with; each keeps at least one of its own."""
    shortest, longest = min(prompts), max(prompts)  # in the order of words: what these two share, all share
    limit = min(map(len, prompts)) - 1
    differing = (place for place in range(limit) if shortest[place] != longest[place])
    return next(differing, limit)


def _joined(one: Choice, other: Choice) -> Choice:
    return Choice(
        mx.concatenate([one.tokens, other.tokens]),
        mx.concatenate([one.doubtful, other.doubtful]),
    )


def _chosen(choice: Choice, keep: list[int]) -> Choice:
    places = mx.array(keep)
    return Choice(choice.tokens[places], choice.doubtful[places])


def _extended(cache: Cache, more: Cache) -> Cache:
    for part, joining in zip(cache, more, strict=True):
        part.extend(joining)
    return cache


def _filtered(cache: Cache, keep: list[int]) -> Cache:
    if not keep:
        return []
    for part in cache:
        part.filter(mx.array(keep))
    return cache
