"""A model cut below its adapted blocks: hidden states go in there, and only chosen positions reach the head.

Nothing of the architecture is known here. Blocks are made to do something else by a subclass each, for as long
as it is needed, so that every name, mask and index in the model's own forward pass stays what it was; what is
then not used is never computed, and weights that are never computed with are never read. Whether a model bears
that is for a comparison with the whole model to say (see engine.py).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import mlx.core as mx
import mlx.nn as nn

from harness.errors import HarnessError
from harness.models.randomness import seeded

Call = Callable[..., Any]
Form = Callable[[mx.array], Any]  # from hidden states to what a block gives


# by these names mlx-lm's blocks call what makes each position's output of that position alone
_POSITION_WISE = {"mlp", "block_sparse_moe", "feed_forward", "q_proj", "o_proj"}


class Tail:
    """The blocks from `at` on and the head; with at = 0 the whole model. Use it inside `in_place`.

    With `narrow` the last block computes queries, its output projection and MLP for chosen positions only: what the
    others get there reaches nothing. `chunk` is how many chosen positions go through the head at once; None for all.
    `compiled`: whether what is computed with it may be. `noise`: while training, uniform within ± noise / √(length *
    hidden size) on what enters the first block: NEFTune, arXiv 2310.05914. Only with at = 0.
    """

    def __init__(
        self,
        model: nn.Module,
        at: int,
        *,
        narrow: bool = False,
        chunk: int | None = None,
        compiled: bool = True,
        noise: float | None = None,
    ) -> None:
        assert noise is None or at == 0, "noise is put on what enters the first block"
        self.model, self.at, self.narrow, self.chunk, self.compiled = model, at, narrow, chunk, compiled
        self.noise = noise
        self._lengths: mx.array | None = None  # of the rows, for noise
        self._form: Form = _bare  # in which a block hands on hidden states
        self._given: mx.array | None = None  # what enters block `at`
        self._headed: mx.array | None = None  # what goes through the head alone
        self._chosen: mx.array | None = None
        self._places: mx.array | None = None

    @property
    def state(self) -> Any:
        """What may change while it is used, and is evaluated: nothing below the cut."""
        return self.model.state if self.at == 0 else [block.state for block in self.model.layers[self.at :]]

    @contextmanager
    def in_place(self) -> Iterator["Tail"]:
        blocks = self.model.layers
        self._form = form_of(self.model)
        calls: list[tuple[nn.Module, Call]] = [(block, self._pass_on) for block in blocks[: max(self.at - 1, 0)]]
        if self.at:
            calls.append((blocks[self.at - 1], self._give))
        calls += [(block, partial(self._compute, type(block).__call__)) for block in blocks[self.at : -1]]
        calls.append((blocks[-1], partial(self._finish, type(blocks[-1]).__call__)))
        if self.noise is not None:
            calls[0] = (blocks[0], partial(self._noisy, calls[0][1]))
        if self.narrow:
            found = [module for name, module in blocks[-1].named_modules() if name.split(".")[-1] in _POSITION_WISE]
            calls += [(module, partial(self._on_chosen, type(module).__call__)) for module in found]
        with _acting(calls):
            yield self

    def __call__(self, tokens: mx.array, hidden: mx.array | None, lengths: mx.array | None = None) -> mx.array:
        """Logits of all positions, [rows, width, vocabulary].

        Args:
            tokens: int [rows, width].
            hidden: [rows, width, hidden size], what enters block `at`; None where at = 0.
            lengths: int [rows], of the rows without padding; None for no noise.
        """
        with self._set(given=hidden, lengths=lengths):
            logits: mx.array = self.model(tokens)
        return logits

    def last_hidden(
        self,
        tokens: mx.array,
        hidden: mx.array | None,
        chosen: mx.array,
        places: mx.array,
        lengths: mx.array | None = None,
    ) -> mx.array:
        """What leaves the last block at the chosen positions, [1, count, hidden size].

        Args:
            tokens, hidden, lengths: as above.
            chosen: int [count], indices of positions in rows * width.
            places: int [rows * width], where each position is in `chosen`; count if it is not.
        """
        try:
            with self._set(given=hidden, chosen=chosen, places=places, lengths=lengths):
                self.model(tokens)
        except _Reached as end:
            return end.hidden
        raise _not_called()

    def head(self, x: mx.array) -> mx.array:
        """Logits, [1, count, vocabulary], of what left the last block, [1, count, hidden size]."""
        with self._set(headed=x):
            logits: mx.array = self.model(mx.zeros((1, 1), mx.int32))
        return logits

    @contextmanager
    def _set(
        self,
        given: mx.array | None = None,
        headed: mx.array | None = None,
        chosen: mx.array | None = None,
        places: mx.array | None = None,
        lengths: mx.array | None = None,
    ) -> Iterator[None]:
        self._given, self._headed, self._chosen, self._places, self._lengths = given, headed, chosen, places, lengths
        try:
            yield
        finally:
            self._given = self._headed = self._chosen = self._places = self._lengths = None

    def _pass_on(self, block: nn.Module, *args: Any, **kwargs: Any) -> Any:
        return self._form(_entering(args, kwargs))

    def _give(self, block: nn.Module, *args: Any, **kwargs: Any) -> Any:
        if self._headed is not None:
            return self._pass_on(block, *args, **kwargs)
        assert self._given is not None, "the cut is computed from hidden states"
        return self._form(self._given)

    def _compute(self, former: Call, block: nn.Module, *args: Any, **kwargs: Any) -> Any:
        return self._pass_on(block, *args, **kwargs) if self._headed is not None else former(block, *args, **kwargs)

    def _finish(self, former: Call, block: nn.Module, *args: Any, **kwargs: Any) -> Any:
        if self._headed is not None:
            return self._form(self._headed)
        y = former(block, *args, **kwargs)
        if self._chosen is None:
            return y
        hidden = y[0] if isinstance(y, tuple) else y
        if hidden.ndim != 3:
            raise HarnessError("its last block gives more than one vector a position")
        raise _Reached(hidden.reshape(1, -1, hidden.shape[-1])[:, self._chosen])

    def _noisy(self, call: Call, block: nn.Module, *args: Any, **kwargs: Any) -> Any:
        if self._lengths is None or not self.model.training:
            return call(block, *args, **kwargs)
        assert self.noise is not None, "this is called for nothing else"
        x = _entering(args, kwargs)
        bound = self.noise / mx.sqrt(self._lengths * x.shape[-1])
        drawn = mx.random.uniform(-1, 1, x.shape) * bound.reshape(-1, *[1] * (x.ndim - 1))
        noisy = x + drawn.astype(x.dtype)
        if args:
            return call(block, noisy, *args[1:], **kwargs)
        return call(block, **{**kwargs, next(iter(kwargs)): noisy})

    def _on_chosen(self, former: Call, module: nn.Module, x: mx.array) -> mx.array:
        if self._chosen is None:
            return former(module, x)
        y = former(module, x.reshape(1, -1, x.shape[-1])[:, self._chosen])
        elsewhere = mx.zeros((1, 1, y.shape[-1]), y.dtype)
        return mx.concatenate([y, elsewhere], axis=1)[0, self._places].reshape(*x.shape[:-1], -1)


@contextmanager
def between(model: nn.Module, start: int, stop: int) -> Iterator[Callable[[mx.array, mx.array | None], mx.array]]:
    """Inside, a function from tokens [rows, width] and what enters block `start` to what enters block `stop`.

    Hidden states are [rows, width, hidden size]; None with start = 0.
    """
    given: list[mx.array] = []
    form = form_of(model)

    def pass_on(block: nn.Module, *args: Any, **kwargs: Any) -> Any:
        return form(_entering(args, kwargs))

    def give(block: nn.Module, *args: Any, **kwargs: Any) -> Any:
        return form(given[0])

    def reached(block: nn.Module, *args: Any, **kwargs: Any) -> Any:
        raise _Reached(_entering(args, kwargs))

    def compute(tokens: mx.array, hidden: mx.array | None) -> mx.array:
        given[:] = [] if hidden is None else [hidden]
        try:
            model(tokens)
        except _Reached as end:
            return end.hidden
        raise _not_called()

    blocks = model.layers
    calls: list[tuple[nn.Module, Call]] = [(block, pass_on) for block in blocks[: max(start - 1, 0)]]
    if start:
        calls.append((blocks[start - 1], give))
    with _acting([*calls, (blocks[stop], reached)]):
        yield compute


def form_of(model: nn.Module) -> Form:
    """How a block of the model hands on hidden states: as they are, or first of several values. Evaluates nothing.

    The other values are left None: a block that needs one of a block that is not computed ends with an error, or makes
    something else, which a comparison shows.
    """
    count = _values_handed_on(model)
    return _bare if count == 1 else lambda hidden: (hidden, *[None] * (count - 1))


def hands_on_more(model: nn.Module) -> bool:
    """Whether a block gives more than hidden states to the next. Evaluates nothing."""
    return _values_handed_on(model) > 1


def _values_handed_on(model: nn.Module) -> int:
    def watched(former: Call, block: nn.Module, *args: Any, **kwargs: Any) -> Any:
        raise _Reached(former(block, *args, **kwargs))

    first = model.layers[0]
    with (
        seeded(0),
        _acting([(first, partial(watched, type(first).__call__))]),
    ):  # dropout would draw from the run's luck
        try:
            model(mx.zeros((1, 2), mx.int32))
        except _Reached as end:
            return len(end.hidden) if isinstance(end.hidden, tuple) else 1
    return 1


def _not_called() -> HarnessError:
    return HarnessError("its forward pass does not call its blocks one after the other")


class _Reached(Exception):  # noqa: N818  (no error: the way out of a forward pass)
    def __init__(self, hidden: Any) -> None:
        self.hidden = hidden


def _method(call: Call) -> Call:
    """A plain function, which a class binds to its instances whatever `call` is."""
    return lambda module, *args, **kwargs: call(module, *args, **kwargs)


def _bare(hidden: mx.array) -> mx.array:
    return hidden


def _entering(args: Sequence[Any], kwargs: Mapping[str, Any]) -> mx.array:
    """The hidden states that a block is called with: always first, by whatever name."""
    return args[0] if args else next(iter(kwargs.values()))


@contextmanager
def _acting(calls: Sequence[tuple[nn.Module, Call]]) -> Iterator[None]:
    """Blocks that do something else when they are called, and are what they were afterwards."""
    former = [(block, type(block)) for block, _ in calls]
    try:
        for (block, call), (_, kind) in zip(calls, former, strict=True):
            block.__class__ = type(kind.__name__, (kind,), {"__call__": _method(call)})
        yield
    finally:
        for block, kind in former:
            block.__class__ = kind
