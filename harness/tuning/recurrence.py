"""The gated delta rule in chunks, put in the place of mlx-lm's loop from token to token while it is wanted.

Models call mlx-lm's gated_delta_update, which looks its loop up in its own module when it has no kernel to use: in
training, and on devices other than Metal. So one name is changed, whatever the models that import it, and Metal's
kernel stays where mlx-lm uses it. Knows no architecture.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx_lm.models import gated_delta

from harness.tuning.gated_delta import CHUNK, gated_delta_chunks

_LOOP, _KERNEL = "gated_delta_ops", "gated_delta_kernel"


@contextmanager
def chunked_recurrence(enabled: bool, *, chunk: int = CHUNK) -> Iterator[None]:
    """Inside, what mlx-lm would compute token by token is computed `chunk` positions at a time, a power of two."""
    with _replaced({_LOOP: partial(gated_delta_chunks, chunk=chunk)} if enabled else {}):
        yield


def has_gated_delta(model: nn.Module) -> bool:
    """Whether blocks of the model compute a gated delta rule. Evaluates nothing."""
    asked: list[str] = []

    def watched(name: str, former: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            asked.append(name)
            return former(*args, **kwargs)

        return call

    model.eval()  # or dropout would draw here
    with _replaced({name: watched(name, getattr(gated_delta, name)) for name in (_LOOP, _KERNEL)}):
        model(mx.zeros((1, 2), mx.int32))
    return bool(asked)


@contextmanager
def _replaced(functions: dict[str, Callable[..., Any]]) -> Iterator[None]:
    former = {name: getattr(gated_delta, name) for name in functions}
    try:
        for name, function in functions.items():
            setattr(gated_delta, name, function)
        yield
    finally:
        for name, function in former.items():
            setattr(gated_delta, name, function)
