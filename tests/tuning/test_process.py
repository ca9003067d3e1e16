"""Limits of the process hold while they are meant to, and are what they were afterwards."""

import mlx.core as mx
import pytest

from harness.tuning.process import memory_limits


def _limits() -> tuple[int, int]:
    """Of memory and of what is kept of it, in bytes."""
    memory, cache = mx.set_memory_limit(1), mx.set_cache_limit(1)
    mx.set_memory_limit(memory)
    mx.set_cache_limit(cache)
    return memory, cache


@pytest.mark.parametrize(("memory", "cache"), [(2.5, 0.0), (None, 1.0), (3.0, None), (None, None)])
def test_mlxs_limits_hold_inside_and_are_put_back(memory: float | None, cache: float | None) -> None:
    before = _limits()
    with pytest.raises(KeyboardInterrupt), memory_limits(memory, cache):
        inside = _limits()
        raise KeyboardInterrupt
    expected = tuple(was if gb is None else round(gb * 1e9) for was, gb in zip(before, (memory, cache), strict=True))
    assert inside == expected and _limits() == before
