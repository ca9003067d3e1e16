"""MLX's one global random state, lent out and given back."""

from collections.abc import Iterator
from contextlib import contextmanager

import mlx.core as mx


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed MLX's global state inside, restore it after, so that no use disturbs another."""
    former = get_state()
    mx.random.seed(seed)
    try:
        yield
    finally:
        set_state(former)


def get_state() -> int:
    """MLX's random state as one number of 64 bits."""
    high, low = mx.random.state[0].tolist()
    return (high << 32) | low


def set_state(state: int) -> None:
    """`mx.random.state` cannot be assigned; its two words, joined, are a seed that gives the same state."""
    mx.random.seed(state)
