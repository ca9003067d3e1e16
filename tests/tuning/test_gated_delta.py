"""The gated delta rule in chunks gives what mlx-lm's loop gives, forward and backward, whatever the gates."""

from collections.abc import Callable, Iterator
from functools import partial

import mlx.core as mx
import pytest
from mlx_lm.models.gated_delta import gated_delta_ops

from harness.models.randomness import seeded
from harness.tuning.gated_delta import gated_delta_chunks

Rule = Callable[..., tuple[mx.array, mx.array]]
Drawn = dict[str, mx.array]
GATES: dict[str, Callable[[list[int]], mx.array]] = {
    "drawn": lambda shape: mx.exp(-mx.exp(mx.random.normal(shape) - 1)),
    "1": mx.ones,
    "exp(-20)": lambda shape: mx.full(shape, 2e-9),
    "some 0": lambda shape: mx.where(mx.random.uniform(shape=shape) < 0.2, 0.0, 0.9),
}
chunks = partial(gated_delta_chunks, chunk=16)


@pytest.fixture(autouse=True)
def uncompiled() -> Iterator[None]:
    """Kernels that are used once cost more to compile than they spare."""
    mx.disable_compile()
    yield
    mx.enable_compile()


def _drawn(width: int, *, vector: bool, gates: str = "drawn", rows: int = 2, kind: mx.Dtype = mx.float32) -> Drawn:
    """Two key heads of 8, as many value heads of 12 or twice, and a state that enters."""
    heads = 2 if vector else 4

    def directions() -> mx.array:
        drawn = mx.random.normal((rows, width, 2, 8))
        return drawn / mx.linalg.norm(drawn, axis=-1, keepdims=True)

    with seeded(0):
        drawn = {
            "q": directions().astype(kind),
            "k": directions().astype(kind),
            "v": mx.random.normal((rows, width, heads, 12)).astype(kind),
            "g": GATES[gates]([rows, width, heads, 8] if vector else [rows, width, heads]),
            "beta": 2 * mx.sigmoid(mx.random.normal((rows, width, heads))).astype(kind),
            "state": mx.random.normal((rows, heads, 12, 8)),
        }
        mx.eval(drawn)
    return drawn


def _outcome(rule: Rule, drawn: Drawn, mask: mx.array | None = None) -> Drawn:
    """y where the mask shows it, the last state, and the gradient of a sum over both to every argument."""

    def summed(given: Drawn) -> tuple[mx.array, mx.array, mx.array]:
        y, state = rule(**given, mask=mask)
        y = y.astype(mx.float32) if mask is None else mx.where(mask[..., None, None], y, 0)
        weights = [mx.random.normal(x.shape, key=mx.random.key(1)) for x in (y, state)]
        return (y * weights[0]).sum() + (state * weights[1]).sum(), y, state

    (_, y, state), gradients = mx.value_and_grad(summed)(drawn)
    return {"y": y, "last state": state} | gradients


def _assert_same(ours: Drawn, theirs: Drawn, tolerance: float = 3e-6) -> None:
    for name, value in theirs.items():
        largest = mx.abs(value).max().item()
        assert mx.abs(ours[name] - value).max().item() <= tolerance * max(largest, 1e-6), name


@pytest.mark.parametrize("vector", [False, True], ids=["a gate a head", "a gate a key dimension"])
@pytest.mark.parametrize("gates", GATES)
def test_chunks_give_what_the_loop_gives_and_every_gradient(gates: str, vector: bool) -> None:
    drawn = _drawn(37, vector=vector, gates=gates)
    _assert_same(_outcome(chunks, drawn), _outcome(gated_delta_ops, drawn))


@pytest.mark.parametrize("vector", [False, True], ids=["a gate a head", "a gate a key dimension"])
@pytest.mark.parametrize("width", [1, 2, 5, 16, 32])
def test_any_length_will_do(width: int, vector: bool) -> None:
    drawn = _drawn(width, vector=vector)
    _assert_same(_outcome(chunks, drawn), _outcome(gated_delta_ops, drawn))


def test_a_chunk_may_be_longer_than_the_blocks_that_are_inverted_as_wholes() -> None:
    drawn = _drawn(70, vector=False, rows=1)
    _assert_same(_outcome(gated_delta_chunks, drawn), _outcome(gated_delta_ops, drawn))


@pytest.mark.parametrize("vector", [False, True], ids=["a gate a head", "a gate a key dimension"])
def test_masked_positions_leave_the_state_alone_and_give_zeros(vector: bool) -> None:
    drawn = _drawn(20, vector=vector)
    mask = mx.array([[at >= 6 for at in range(20)], [at < 13 for at in range(20)]])
    _assert_same(_outcome(chunks, drawn, mask), _outcome(gated_delta_ops, drawn, mask))
    y, _ = chunks(**drawn, mask=mask)
    assert mx.abs(y[0, :6]).max().item() == mx.abs(y[1, 13:]).max().item() == 0


def test_without_a_state_it_begins_with_zeros() -> None:
    drawn = _drawn(20, vector=False)
    zeros = mx.zeros_like(drawn.pop("state"))
    for ours, theirs in zip(chunks(**drawn), gated_delta_ops(**drawn, state=zeros), strict=True):
        assert mx.allclose(ours, theirs, atol=1e-6).item()


def test_a_text_in_two_parts_is_the_whole_text() -> None:
    drawn = _drawn(37, vector=True)
    state = drawn.pop("state")
    y, last = chunks(**drawn, state=state)
    first, between = chunks(**{name: value[:, :21] for name, value in drawn.items()}, state=state)
    second, end = chunks(**{name: value[:, 21:] for name, value in drawn.items()}, state=between)
    assert mx.allclose(mx.concatenate([first, second], axis=1), y, atol=1e-5).item()
    assert mx.allclose(end, last, atol=1e-5).item()


@pytest.mark.parametrize("vector", [False, True], ids=["a gate a head", "a gate a key dimension"])
def test_the_state_is_float32_where_the_rest_is_bfloat16(vector: bool) -> None:
    drawn = _drawn(37, vector=vector, kind=mx.bfloat16)
    (y, state), (loop, last) = chunks(**drawn), gated_delta_ops(**drawn)
    assert (y.dtype, state.dtype) == (loop.dtype, last.dtype) == (mx.bfloat16, mx.float32)
    assert mx.allclose(state, last, atol=1e-5).item()
    assert mx.abs(y.astype(mx.float32) - loop.astype(mx.float32)).max().item() <= 2**-7 * mx.abs(loop).max().item()
    ours, theirs = _outcome(chunks, drawn), _outcome(gated_delta_ops, drawn)
    assert ours["q"].dtype == ours["beta"].dtype == mx.bfloat16 and ours["g"].dtype == mx.float32
    _assert_same(ours, theirs, tolerance=2e-2)


def test_keys_that_repeat_lose_nothing() -> None:
    """Then what is inverted is far from the identity."""
    drawn = _drawn(37, vector=False, gates="1")
    drawn["k"] = mx.broadcast_to(drawn["k"][:, :1], drawn["k"].shape)
    _assert_same(_outcome(chunks, drawn), _outcome(gated_delta_ops, drawn), tolerance=1e-5)


@pytest.mark.parametrize("vector", [False, True], ids=["a gate a head", "a gate a key dimension"])
def test_memory_grows_with_the_length_and_not_with_its_square(vector: bool) -> None:
    """The gradient of a slice is as large as the whole."""
    peaks = []
    for width in (256, 1024):
        drawn = _drawn(width, vector=vector, rows=1)
        mx.clear_cache()
        before = mx.get_active_memory()
        mx.reset_peak_memory()
        mx.eval(_outcome(chunks, drawn))
        peaks.append(mx.get_peak_memory() - before)
    assert peaks[1] < 5 * peaks[0]
