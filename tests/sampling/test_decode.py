"""Many texts at once are the texts that each would be alone."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from mlx_lm.generate import generate_step
from mlx_lm.models.cache import ArraysCache, CacheList, KVCache, RotatingKVCache

from harness.machine.device import begin_phase
from harness.models.base import Base
from harness.models.randomness import seeded
from harness.sampling.choose import Choice, Chooser
from harness.sampling.decode import decode
from harness.sampling.engine import Engine
from harness.sampling.fitting import row_bytes
from harness.sampling.request import Request
from tests.tuning.architectures import ARCHITECTURES, make_model
from tools.architectures.tiny import tiny_model

PREFIX = [7, 8, 9, 10, 11, 12]
_lengths = np.random.default_rng(3)
REQUESTS = [
    Request(ids=PREFIX + _lengths.integers(300, 900, size=1 + index % 5).tolist(), seed=100 + index)
    for index in range(13)
]


Choose = Callable[[mx.array, mx.array], Choice]


def _texts(
    model: nn.Module, chooser: Choose, requests: list[Request] = REQUESTS, *, max_tokens: int = 20, **values: Any
) -> dict[int, tuple[list[int], str]]:
    settings: dict[str, Any] = {"batch_size": 4} | values
    engine = Engine(model, {17, 40}, chooses=lambda *_: chooser, **settings)
    asked = [replace(request, max_tokens=max_tokens) for request in requests]
    return {requests[index].seed: (done.tokens, done.finish_reason) for index, done in decode(engine, asked)}


def _of_small_vocabulary(requests: list[Request]) -> list[Request]:
    return [replace(request, ids=[token % 250 for token in request.ids]) for request in requests]


DRAWN, GREEDY = Chooser(0.9, 0.9), Chooser(0.0, 1.0)


@pytest.mark.parametrize("chooser", [DRAWN, GREEDY, Chooser(1.0, 1.0)])
def test_a_text_does_not_depend_on_batch_size_or_order(chooser: Chooser, base: Base) -> None:
    alone = _texts(base.model, chooser, batch_size=1)
    assert len(alone) == len(REQUESTS)
    assert _texts(base.model, chooser, batch_size=4) == alone
    assert _texts(base.model, chooser, batch_size=16) == alone
    assert _texts(base.model, chooser, REQUESTS[::-1], batch_size=5) == alone


@pytest.mark.parametrize("kind", ["float32", "4-bit"])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_architecture_writes_in_batches_what_it_writes_alone(name: str, kind: str) -> None:
    """Sliding windows, experts, positions by layer: the caches are mlx-lm's own."""
    experts = name in ("qwen3_moe", "mixtral") and kind == "4-bit"  # MLX's CPU backend has none in bfloat16
    model = make_model(name, f"{kind} on float32" if experts else kind)
    requests = _of_small_vocabulary(REQUESTS[:7])
    alone = _texts(model, DRAWN, requests, batch_size=1)
    assert _texts(model, DRAWN, requests, batch_size=4) == alone
    greedy = _texts(model, GREEDY, requests, batch_size=4, max_tokens=8)
    for request in requests[:2]:
        stock = [int(token) for token, _ in generate_step(mx.array(request.ids), model, max_tokens=8)]
        ended = next((place for place, token in enumerate(stock) if token in (17, 40)), 8)
        assert greedy[request.seed][0] == stock[:ended]


class _Recording:
    """A greedy chooser that keeps the logits of each row's steps, by its seed."""

    def __init__(self) -> None:
        self.logits: dict[tuple[int, int], mx.array] = {}

    def __call__(self, logits: mx.array, luck: mx.array) -> Choice:
        for key, row in zip(luck.tolist(), logits, strict=True):
            self.logits[key[0], key[1]] = row
        mx.eval(logits)
        return GREEDY(logits, luck)


@pytest.mark.parametrize("name", ["mamba", "jamba", "nemotron_h", "rwkv7"])
def test_no_padding_gets_into_a_state_space(name: str) -> None:
    """Prompts of several lengths: what one of mlx-lm's states took of another's padding looked like large rounding."""
    mx.disable_compile()
    try:
        model, _ = tiny_model(name)
        requests = _of_small_vocabulary(REQUESTS[:7])
        alone, together = _Recording(), _Recording()
        for chooser, rows in ((alone, 1), (together, 7)):
            _texts(model, chooser, requests, batch_size=rows, max_tokens=4, settle=False)
        for key, logits in alone.logits.items():
            difference = mx.abs(logits - together.logits[key]).max() / mx.std(logits)
            assert difference.item() < 2e-5, "a fifth of what is settled by the row alone"
    finally:
        mx.enable_compile()


@pytest.mark.parametrize("name", ["gemma2", "gpt_bigcode", "minimax_m3_vl"])
def test_where_mlx_lm_writes_something_else_in_a_batch_texts_are_written_one_by_one(name: str) -> None:
    """The first two end with an error there, the third takes other rows' padding in."""
    mx.disable_compile()
    try:
        model, _ = tiny_model(name)
        requests = _of_small_vocabulary(REQUESTS[:6])
        said: list[str] = []
        together = _texts(model, GREEDY, requests, max_tokens=6, settle=False, tell=said.append)
        assert together == _texts(model, GREEDY, requests, max_tokens=6, settle=False, batch_size=1)
        stock = [int(token) for token, _ in generate_step(mx.array(requests[4].ids), model, max_tokens=6)]
        assert together[requests[4].seed][0] == stock[: len(together[requests[4].seed][0])]
        assert len(said) == 1 and said[0].startswith("texts are written one by one: ")
    finally:
        mx.enable_compile()


def test_writing_ahead_of_reading_gives_the_same_texts(base: Base) -> None:
    """As on a GPU, where the next step is begun before the last is read."""
    assert _texts(base.model, DRAWN, settle=False) == _texts(base.model, DRAWN, batch_size=1)


class _Rough(nn.Module):  # type: ignore[misc]
    """The tiny base with rounding errors that differ from batch to batch, and every token nearly tied with another."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.inner = model
        self.calls = 0

    @property
    def layers(self) -> Any:
        return self.inner.layers

    def __call__(self, tokens: mx.array, cache: Any = None) -> mx.array:
        logits = self.inner(tokens, cache=cache)
        half = logits.shape[-1] // 2
        logits = mx.concatenate([logits[..., :half], logits[..., :half]], axis=-1)
        if cache is None:
            return logits
        self.calls += 1
        with seeded(self.calls):
            return logits + 2e-5 * mx.std(logits) * mx.random.uniform(-1, 1, logits.shape)


def test_what_rounding_could_decide_is_decided_by_the_row_alone(base: Base) -> None:
    rough = _Rough(base.model)
    assert _texts(rough, GREEDY, settle=False) != _texts(rough, GREEDY, settle=False, batch_size=3)
    assert _texts(rough, GREEDY) == _texts(rough, GREEDY, batch_size=3)


def test_the_common_beginning_is_computed_once(base: Base) -> None:
    widths: list[int] = []

    class Counting(_Rough):
        def __call__(self, tokens: mx.array, cache: Any = None) -> mx.array:
            widths.append(tokens.size)
            return self.inner(tokens, cache=cache)

    beginning = PREFIX * 50
    requests = [replace(request, ids=[*beginning, *request.ids]) for request in REQUESTS]
    _texts(Counting(base.model), GREEDY, requests, max_tokens=1, batch_size=4)
    assert sum(widths) < 3 * len(beginning), "once, what batches are tried with, and what is each prompt's own"


def test_memory_does_not_grow_with_the_number_of_prompts(base: Base) -> None:
    def peak(times: int) -> int:
        begin_phase()
        _texts(base.model, GREEDY, REQUESTS * times, batch_size=4, max_tokens=8)
        return int(mx.get_peak_memory())

    few = peak(1)
    assert peak(8) < 1.1 * few


@pytest.mark.parametrize("requests", [REQUESTS, [replace(request, ids=[*request.ids[6:]] * 2) for request in REQUESTS]])
def test_fewer_are_written_at_a_time_where_memory_is_short(requests: list[Request], base: Base) -> None:
    """With and without a common beginning; the texts are the same."""
    rows: list[int] = []

    class Counting(_Rough):
        def __call__(self, tokens: mx.array, cache: Any = None) -> mx.array:
            rows.append(tokens.shape[0])
            return self.inner(tokens, cache=cache)

    model = Counting(base.model)
    plenty = _texts(model, GREEDY, requests, batch_size=8)
    assert max(rows) == 8
    rows.clear()
    a_row = 8 * 2 * 2 * 16 * 4 * 256  # blocks, keys and values, heads, their width, bytes, tokens
    assert _texts(model, GREEDY, requests, batch_size=8, free=lambda: 2 * 3.5 * a_row) == plenty
    assert max(rows) == 3


def test_a_text_ends_at_the_end_marker_or_at_the_limit(base: Base) -> None:
    texts = _texts(base.model, Chooser(2.0, 1.0), max_tokens=200)
    assert {reason for _, reason in texts.values()} == {"stop", "length"} or {"stop"} == {r for _, r in texts.values()}
    for tokens, reason in texts.values():
        assert not {17, 40} & set(tokens)
        assert len(tokens) == 200 if reason == "length" else len(tokens) < 200


def test_draws_follow_the_probabilities_within_top_p() -> None:
    logits = mx.log(mx.array([[0.5, 0.3, 0.15, 0.05]] * 4000))
    luck = mx.array([[index, 0] for index in range(4000)], mx.uint32)
    counts = np.bincount(np.array(Chooser(1.0, 0.9)(logits, luck).tokens), minlength=4) / 4000
    assert counts[3] == 0
    assert counts[:3] == pytest.approx([0.5 / 0.95, 0.3 / 0.95, 0.15 / 0.95], abs=0.03)


def test_one_prompt_alone_and_no_prompt_at_all(base: Base) -> None:
    assert len(_texts(base.model, DRAWN, REQUESTS[:1])) == 1
    assert _texts(base.model, DRAWN, []) == {}
    assert len(_texts(base.model, DRAWN, [REQUESTS[0], REQUESTS[0]])) == 1


def test_what_a_row_takes_is_told_from_a_short_one_whatever_its_caches_keep() -> None:
    def row(tokens: int) -> list[Any]:
        state = ArraysCache(1)
        state[0] = mx.zeros((1, 4, 8))
        parts = [KVCache(), RotatingKVCache(64), CacheList(KVCache(), RotatingKVCache(1024))]
        for part in (*parts[:2], *parts[2].caches):
            part.update_and_fetch(*[mx.zeros((1, 2, min(tokens, 40), 8))] * 2)
            for _ in range(tokens - 40):
                part.update_and_fetch(*[mx.zeros((1, 2, 1, 8))] * 2)
        return [state, *parts]

    for longest in (40, 200, 700):
        taken = sum(part.nbytes for part in row(longest))
        room = 2 * (1 + (longest > 64) + 1) * 256 * 2 * 8 * 4  # mlx-lm makes room for 256 tokens at a time
        assert taken <= row_bytes(row(20), longest) <= taken + room
