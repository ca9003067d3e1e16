"""MLX's one global random state, lent out and given back."""

from collections.abc import Iterator
from contextlib import contextmanager

import mlx.core as mx


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed MLX's global state inside, restore it after, so that no use disturbs another.

    `mx.random.state` cannot be assigned; its two words, joined, are a seed that gives the same state.
    """
    high, low = mx.random.state[0].tolist()
    mx.random.seed(seed)
    try:
        yield
    finally:
        mx.random.seed((high << 32) | low)
