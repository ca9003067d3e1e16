"""The gated delta rule of hybrid models, a chunk of positions at a time instead of one: the same numbers in less time.

mlx-lm has a kernel for it, on Metal and without a gradient; else it goes from token to token. The form is that of
arXiv 2412.06464 (one gate a head) and 2510.26692 (one a key dimension). With S the state that enters a chunk, g the
gates, F_i the product of g up to position i and R_j that of g after position j, inside the chunk:

    A_ij = beta_i k_i (g_j+1 ... g_i) k_j, j < i       U = (I + A)^-1 (beta v - (beta F k) S)
    y = (F q) S + (q_i (g_j+1 ... g_i) k_j, j <= i) U    S <- F_last S + (R k)^T U

Products of gates are built up from halves, never divided: with gates of 0 to 1 nothing overflows, a gate of exactly 0
included, and every gradient is exact. Knows nothing of models.
"""

from collections.abc import Callable
from typing import Any

import mlx.core as mx

CHUNK = 64
_SUMMED = 4  # blocks below this size are multiplied and summed up: too small for a matrix product
_DENSE = 16  # blocks of this size are inverted as wholes


def gated_delta_chunks(
    q: mx.array,
    k: mx.array,
    v: mx.array,
    g: mx.array,
    beta: mx.array,
    state: mx.array | None = None,
    mask: mx.array | None = None,
    *,
    chunk: int = CHUNK,
) -> tuple[mx.array, mx.array]:
    """What mlx-lm's gated_delta_ops gives, but for zeros at masked positions, as its kernel has them.

    Args:
        q, k: [rows, width, key heads, key dim].
        v: [rows, width, heads, value dim]; heads is a multiple of key heads.
        g: [rows, width, heads], or [rows, width, heads, key dim]; 0 to 1.
        beta: [rows, width, heads].
        state: [rows, heads, value dim, key dim]; None for zeros.
        mask: bool [rows, width]; False leaves the state as it is.
        chunk: positions at a time, a power of two.

    Returns:
        y: [rows, width, heads, value dim], of q's type; and the state after the last position, float32.
    """
    rows, width, key_heads, _ = k.shape
    heads, value_dim = v.shape[2:]
    if mask is not None:
        shown = mask[..., None]
        beta, g = mx.where(shown, beta, 0), mx.where(shown if g.ndim == 3 else shown[..., None], g, 1)
    size = min(chunk, 1 << (width - 1).bit_length())
    fold = _folding(size, key_heads)
    y, last = _folded(
        fold(q, key_heads),
        fold(k, key_heads),
        fold(v, heads),
        fold(g if g.ndim == 4 else g[..., None], heads, filled=1),
        fold(beta[..., None], heads),
        _entering(state, rows, heads, key_heads, value_dim, k.shape[-1]),
    )
    y = y.transpose(1, 0, 4, 2, 3, 5).reshape(rows, -1, heads, value_dim)[:, :width].astype(q.dtype)
    if mask is not None:
        y = mx.where(mask[..., None, None], y, 0)
    return y, last.swapaxes(-1, -2).reshape(rows, heads, value_dim, -1)


def _folding(size: int, key_heads: int) -> Callable[..., mx.array]:
    """From [rows, width, heads, dim] to [chunks, rows, key heads, heads a key head, size, dim] in float32."""

    def fold(x: mx.array, heads: int, filled: float = 0) -> mx.array:
        rows, width, _, dim = x.shape
        if missing := -width % size:
            x = mx.pad(x, ((0, 0), (0, missing), (0, 0), (0, 0)), constant_values=mx.array(filled, x.dtype))
        x = x.reshape(rows, -1, size, key_heads, heads // key_heads, dim)
        return x.transpose(1, 0, 3, 4, 2, 5).astype(mx.float32)

    return fold


def _entering(state: mx.array | None, rows: int, heads: int, key_heads: int, value_dim: int, key_dim: int) -> mx.array:
    """[1, rows, key heads, heads a key head, key dim, value dim]."""
    if state is None:
        return mx.zeros((1, rows, key_heads, heads // key_heads, key_dim, value_dim))
    state = state.reshape(1, rows, key_heads, heads // key_heads, value_dim, key_dim)
    return state.swapaxes(-1, -2).astype(mx.float32)


def _folded(
    q: mx.array, k: mx.array, v: mx.array, g: mx.array, beta: mx.array, state: mx.array
) -> tuple[mx.array, mx.array]:
    """y and the last state; arguments as `fold` makes them, g with one gate or key dim of them."""
    if g.shape[-1] == 1:
        ratios = _ratios(g[..., 0])
        along, below = ratios[..., :1] * g[..., :1, :], ratios[..., -1, :, None]
        of_keys, of_queries = beta * ratios * (k @ _t(k)), ratios * (q @ _t(k))
    else:
        along, below = _products(g)
        of_keys, of_queries = _weighted(mx.stack([beta * k, mx.broadcast_to(q, k.shape)]), k, g)
    inverse: mx.array = _inverse(of_keys)
    states, updates = [], []
    by_chunk = (inverse, beta * v, beta * along * k, _t(below * k), _t(along[..., -1:, :]))
    for solve, values, told, keys, passed in zip(*(_split(each) for each in by_chunk), strict=True):
        states.append(state)
        updates.append(solve @ (values - told @ state))
        state = passed * state + keys @ updates[-1]
    states, updates = mx.concatenate(states), mx.concatenate(updates)
    return (along * q) @ states + of_queries @ updates, state


def _products(g: mx.array) -> tuple[mx.array, mx.array]:
    """For each position the product of the gates up to it, and of those after it, as g: [..., size, dim]."""
    return _halves(g)[-1]


def _halves(g: mx.array) -> list[tuple[mx.array, mx.array]]:
    """For blocks of 1, 2, 4 ... size: these products inside each block, [..., blocks, block, dim]."""
    to, after = g[..., None, :], mx.ones_like(g)[..., None, :]
    found = [(to, after)]
    while to.shape[-3] > 1:
        (first, second), (after_first, after_second) = _pairs(to), _pairs(after)
        to = mx.concatenate([first, first[..., -1:, :] * second], axis=-2)
        after = mx.concatenate([second[..., -1:, :] * after_first, after_second], axis=-2)
        found.append((to, after))
    return [*found[:-1], (to[..., 0, :, :], after[..., 0, :, :])]


def _ratios(g: mx.array) -> mx.array:
    """The products of the gates after j and up to i, [..., i, j], 1 where i is j, 0 above; g: [..., size]."""
    grown = mx.ones_like(g)[..., None, None]
    for to, after in _halves(g[..., None])[:-1]:
        grown = _grown(grown, _pairs(to)[1] * _t(_pairs(after)[0]))
    return grown[..., 0, :, :]


def _weighted(x: mx.array, k: mx.array, g: mx.array) -> mx.array:
    """x_i (g_j+1 ... g_i) k_j for j <= i, 0 above, [..., i, j]: both halves of a block weighted up to its middle."""
    grown = (x * k).sum(axis=-1)[..., None, None]
    for level, (to, after) in enumerate(_halves(g)[:-1]):
        size = 1 << level
        after_i = _pairs(to)[1] * _pairs(_blocks(x, size))[1]
        before_j = _pairs(after)[0] * _pairs(_blocks(k, size))[0]
        if size < _SUMMED:
            off = (after_i[..., :, None, :] * before_j[..., None, :, :]).sum(axis=-1)
        else:
            off = after_i @ _t(before_j)
        grown = _grown(grown, off)
    return grown[..., 0, :, :]


def _blocks(x: mx.array, size: int) -> mx.array:
    return x.reshape(*x.shape[:-2], -1, size, x.shape[-1])


def _grown(blocks: mx.array, off: mx.array) -> mx.array:
    """Blocks of twice the size: pairs of `blocks` on the diagonal, `off` below it, 0 above."""
    first, second = _pairs(blocks)
    above = mx.concatenate([first, mx.zeros_like(off)], axis=-1)
    return mx.concatenate([above, mx.concatenate([off, second], axis=-1)], axis=-2)


def _t(x: mx.array) -> mx.array:
    return x.swapaxes(-1, -2)


def _inverted(a: mx.array) -> mx.array:
    """(I + A)^-1 with A what is below the diagonal of `a`, [..., size, size]."""
    size = min(_DENSE, a.shape[-1])
    count = a.shape[-1] // size
    diagonal = mx.stack([a[..., i : i + size, i : i + size] for i in range(0, count * size, size)], axis=-3)
    found, block = _dense(diagonal), size
    while block < a.shape[-1]:
        pairs = range(0, a.shape[-1], 2 * block)
        off = mx.stack([a[..., i + block : i + 2 * block, i : i + block] for i in pairs], axis=-3)
        first, second = _pairs(found)
        found = _grown(found, -(second @ off @ first))
        block *= 2
    return found[..., 0, :, :]


def _dense(a: mx.array) -> mx.array:
    """The same of small ones, as wholes."""
    size = a.shape[-1]
    place = mx.arange(size)
    found, block = mx.eye(size), 1
    while block < size:
        i, j = place[:, None] // block, place // block
        off = mx.where((i % 2 == 1) & (j == i - 1), a, 0)
        found = found - (off if block == 1 else found @ off @ found)
        block *= 2
    return mx.broadcast_to(found, a.shape)


def _inverse_vjp(a: Any, cotangent: Any, inverse: Any) -> mx.array:
    turned = _t(inverse)
    return -mx.tril(turned @ cotangent @ turned, -1)


_inverse: Any = mx.custom_function(_inverted)
_inverse.vjp(_inverse_vjp)


# MLX gives the gradient of each part of a split as zeros of the whole's size, to be summed up
_split: Any = mx.custom_function(lambda x: tuple(mx.split(x, len(x))))
_split.vjp(lambda x, cotangents, parts: mx.concatenate(cotangents))

# the first and second blocks of neighbours
_pairs: Any = mx.custom_function(lambda x: (x[..., 0::2, :, :], x[..., 1::2, :, :]))
_pairs.vjp(lambda x, cotangents, pairs: mx.stack(cotangents, axis=-3).reshape(x.shape))
