"""A model cut below its adapted blocks: hidden states go in there, and only chosen positions reach the head.

Nothing of the architecture is known here. Blocks are made to do something else by a subclass each, for as long
as it is needed, so that every name, mask and index in the model's own forward pass stays what it was; what is
then not used is never computed, and weights that are never computed with are never read. Whether a model bears
that is for a comparison with the whole model to say (see engine.py).
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import mlx.core as mx
import mlx.nn as nn

Call = Callable[..., mx.array]


class Tail:
    """The blocks from `at` on and the head; with at = 0 the whole model. Use it inside `in_place`."""

    def __init__(self, model: nn.Module, at: int) -> None:
        self.model, self.at = model, at
        self._hidden: mx.array | None = None
        self._chosen: mx.array | None = None

    @property
    def state(self) -> Any:
        """What may change while it is used, and is evaluated: nothing below the cut."""
        return self.model.state if self.at == 0 else [block.state for block in self.model.layers[self.at :]]

    @contextmanager
    def in_place(self) -> Iterator["Tail"]:
        blocks = self.model.layers
        last = type(blocks[-1]).__call__

        def give(block: nn.Module, x: mx.array, *args: Any, **kwargs: Any) -> mx.array:
            assert self._hidden is not None, "the cut is computed from hidden states"
            return self._hidden

        def choose(block: nn.Module, x: mx.array, *args: Any, **kwargs: Any) -> mx.array:
            y = last(block, x, *args, **kwargs)
            return y if self._chosen is None else y.reshape(1, -1, y.shape[-1])[:, self._chosen]

        calls: list[tuple[nn.Module, Call]] = [(block, _pass_on) for block in blocks[: max(self.at - 1, 0)]]
        if self.at:
            calls.append((blocks[self.at - 1], give))
        calls.append((blocks[-1], choose))
        with _acting(calls):
            yield self

    def __call__(self, tokens: mx.array, hidden: mx.array | None, chosen: mx.array | None) -> mx.array:
        """Logits.

        Args:
            tokens: int [rows, width].
            hidden: [rows, width, hidden size], what enters block `at`; None where at = 0.
            chosen: int [count], indices of positions in rows * width; None for all.

        Returns:
            [rows, width, vocabulary], or [1, count, vocabulary] with `chosen`.
        """
        self._hidden, self._chosen = hidden, chosen
        try:
            return self.model(tokens)
        finally:
            self._hidden = self._chosen = None


@contextmanager
def between(model: nn.Module, start: int, stop: int) -> Iterator[Callable[[mx.array, mx.array | None], mx.array]]:
    """Inside, a function from tokens [rows, width] and what enters block `start` to what enters block `stop`.

    Hidden states are [rows, width, hidden size]; None with start = 0.
    """
    given: list[mx.array] = []

    def give(block: nn.Module, x: mx.array, *args: Any, **kwargs: Any) -> mx.array:
        return given[0]

    def reached(block: nn.Module, x: mx.array, *args: Any, **kwargs: Any) -> mx.array:
        raise _Reached(x)

    def compute(tokens: mx.array, hidden: mx.array | None) -> mx.array:
        given[:] = [] if hidden is None else [hidden]
        try:
            model(tokens)
        except _Reached as end:
            return end.hidden
        raise AssertionError("a forward pass goes through every block")

    blocks = model.layers
    calls: list[tuple[nn.Module, Call]] = [(block, _pass_on) for block in blocks[: max(start - 1, 0)]]
    if start:
        calls.append((blocks[start - 1], give))
    with _acting([*calls, (blocks[stop], reached)]):
        yield compute


class _Reached(Exception):  # noqa: N818  (no error: the way out of a forward pass)
    def __init__(self, hidden: mx.array) -> None:
        self.hidden = hidden


def _pass_on(block: nn.Module, x: mx.array, *args: Any, **kwargs: Any) -> mx.array:
    return x


@contextmanager
def _acting(calls: Sequence[tuple[nn.Module, Call]]) -> Iterator[None]:
    """Blocks that do something else when they are called, and are what they were afterwards."""
    former = [(block, type(block)) for block, _ in calls]
    try:
        for (block, call), (_, kind) in zip(calls, former, strict=True):
            block.__class__ = type(kind.__name__, (kind,), {"__call__": call})
        yield
    finally:
        for block, kind in former:
            block.__class__ = kind
