"""What a step leaves out: the frozen blocks below the adapted ones, and the head on what is not learned.

Both are switched off where they do not give what the whole model gives.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from mlx.utils import tree_flatten

from harness.data.dataset import Row, Split
from harness.errors import HarnessError, reason
from harness.models.adapter_files import AdapterSpec
from harness.models.sizes import activation_bytes
from harness.tuning.batches import Batcher, padded_tokens
from harness.tuning.cut import Tail, between, hands_on_more
from harness.tuning.hidden import HiddenRows
from harness.tuning.loss import loss_sum
from harness.tuning.process import checkpointed_blocks
from harness.tuning.recurrence import chunked_recurrence

_HEAD_BYTES = 1 << 27  # of logits in float32 at once
_COMPARED_CHUNK = 16  # of a recurrence on the rows that are compared
RECURRENT_ROW = 2 * _COMPARED_CHUNK  # tokens of such a row: from token to token, each keeps as much as a state
_TOLERANCE = {4: 1e-4, 2: 5e-2}  # by bytes of an activation, relative


@dataclass(frozen=True)
class Engine:
    """What a step leaves out.

    `at`: the block that it begins with, from `hidden` by split; 0: from tokens. `on_targets`: the head is computed for
    learned positions only, `narrow`: and what it can be of the last block, `chunk`: so many positions at a time.
    `compiled`: by mx.compile, where the model bears it. `chunked`: gated delta rules go in chunks (recurrence.py).
    """

    at: int = 0
    on_targets: bool = False
    narrow: bool = False
    chunk: int | None = None
    hidden: Mapping[str, HiddenRows] = field(default_factory=dict)
    compiled: bool = True
    chunked: bool = False

    def tail(self, model: nn.Module, *, noise: float | None = None) -> Tail:
        """`noise`: see Tail."""
        return Tail(model, self.at, narrow=self.narrow, chunk=self.chunk, compiled=self.compiled, noise=noise)

    def batcher(self, split: str) -> Batcher:
        """For validation."""
        return Batcher(self.on_targets, self.hidden.get(split))

    def training_batcher(self, split: Split, *, noise: float | None) -> Batcher:
        """With what noise and unequal weights of rows ask for; weights that are all the same change nothing."""
        weighted = len({row.weight for row in split.rows}) > 1
        return replace(self.batcher(split.name), lengths=noise is not None, weighted=weighted)


WHOLE_MODEL = Engine()

# how a step of an engine differs from one of the whole model on some rows, as `disagreement` tells it
Compare = Callable[[nn.Module, Engine, Sequence[Row], Callable[[], None]], str | None]


def first_adapted(model: nn.Module, spec: AdapterSpec) -> int:
    """The first block whose weights change; 0 when something outside the blocks does."""
    names = {name for block in model.layers for name, _ in block.named_modules()}
    return len(model.layers) - spec.num_layers if set(spec.keys) <= names else 0


def checked_rows(rows: Sequence[Row], longest: int | None = None) -> list[Row]:
    """The two shortest of different lengths: padding is there, and the comparison takes little time and memory.

    Of each at most `longest` tokens, up to the last one that is learned.
    """
    ordered = sorted(rows, key=lambda row: len(row.tokens))
    longer = next((row for row in ordered if len(row.tokens) > len(ordered[0].tokens)), ordered[-1])
    return [row if longest is None else _last_learned(row, longest) for row in (ordered[0], longer)]


def _last_learned(row: Row, longest: int) -> Row:
    end = max(int(np.flatnonzero(row.learn)[-1]) + 1, min(longest, len(row.tokens)))
    part = slice(max(end - longest, 0), end)
    return replace(row, tokens=row.tokens[part], learn=row.learn[part])


def head_chunk(vocabulary: int) -> int:
    """How many positions go through the head at once."""
    return max(_HEAD_BYTES // (4 * vocabulary) // 16 * 16, 64)


def disagreement(
    model: nn.Module, engine: Engine, rows: Sequence[Row], release: Callable[[], None] = lambda: None
) -> str | None:
    """How a step of this engine differs from one of the whole model on `rows`; None when they agree.

    Compared are the loss and all gradients of the adapter, which must be attached, in training mode but without
    dropout. `release` makes the model let go of weights that are only needed here: called when a computation is set up
    and not begun, so that each is read when its turn comes, and gone after it.

    Raises:
        HarnessError: when the whole model cannot be trained either.
    """
    model.eval()
    try:
        with checkpointed_blocks(model, engine.chunked):  # from token to token a block keeps a state for each
            whole = _loss_and_gradients(model, WHOLE_MODEL, rows, release)
    except (RuntimeError, MemoryError):  # the device's
        raise
    except Exception as error:  # what an architecture's own forward pass raises when it is differentiated
        name = getattr(model, "model_type", type(model).__name__)
        raise HarnessError(
            f"a {name} model cannot be trained: its forward pass ends with {reason(error)}; choose another base"
        ) from error
    try:
        ours = _loss_and_gradients(model, engine, rows, release)
    except Exception as error:  # or when it is cut
        return "its blocks hand on more than hidden states" if hands_on_more(model) else reason(error)
    tolerance = _TOLERANCE[min(4, activation_bytes(model.layers[0]))]
    for name, one in whole.items():
        difference = mx.linalg.norm(one - ours[name]).item()
        size = mx.linalg.norm(one).item()
        if not difference <= tolerance * max(size, 1e-6):
            return f"{name} differs by {difference:.3g} of {size:.3g}"
    return None


def is_compilable(model: nn.Module, rows: Sequence[Row]) -> bool:
    """Whether mx.compile can take the model in: not where it asks for values in the middle. Evaluates nothing else."""
    model.eval()
    tail = WHOLE_MODEL.tail(model)
    with tail.in_place():
        try:
            mx.compile(partial(loss_sum, tail))(*Batcher()(rows[:1]).inputs)
        except ValueError:
            return False
    return True


def misfits(
    model: nn.Module, at: int, kept: Sequence[tuple[Row, HiddenRows]], release: Callable[[], None] = lambda: None
) -> list[str | None]:
    """For each row how what is kept of it differs from what the blocks below `at` make of it now; None when it fits.

    One pass over these blocks for all rows; `release` as above.
    """
    model.eval()
    tokens = padded_tokens([row for row, _ in kept])[:, :-1]
    with between(model, 0, at) as compute:
        made = compute(mx.array(tokens), None)
        release()
        mx.eval(made)
    return [_misfit(hidden, row, made[index]) for index, (row, hidden) in enumerate(kept)]


def _misfit(hidden: HiddenRows, row: Row, made: mx.array) -> str | None:
    """made: [width, hidden size], zero padding included."""
    length = len(row.tokens) - 1
    there, here = hidden.batch([row], length)[0].astype(mx.float32), made[:length].astype(mx.float32)
    if there.shape != here.shape:
        return f"it has {there.shape[-1]} numbers a position, not {here.shape[-1]}"
    difference, size = mx.linalg.norm(there - here).item(), mx.linalg.norm(here).item()
    if difference <= _TOLERANCE[min(4, made.dtype.size)] * max(size, 1e-6):
        return None
    return f"it differs by {difference:.3g} of {size:.3g}"


def _loss_and_gradients(
    model: nn.Module, engine: Engine, rows: Sequence[Row], release: Callable[[], None]
) -> dict[str, mx.array]:
    batch = Batcher(engine.on_targets)(rows)
    if engine.chunk and batch.chosen is not None:
        engine = replace(engine, chunk=max(batch.chosen.size // 32 * 16, 16))  # half: these rows may be but one chunk
    hidden = None
    in_chunks = chunked_recurrence(engine.chunked, chunk=_COMPARED_CHUNK)
    tail = engine.tail(model)
    with in_chunks:
        if engine.at:
            with between(model, 0, engine.at) as compute:
                hidden = compute(mx.array(padded_tokens(rows)[:, :-1]), None)
                release()
                mx.eval(hidden)
        with _training_without_luck(model), tail.in_place():
            function: Any = nn.value_and_grad(model, partial(loss_sum, tail))
            (loss, _), gradients = function(*replace(batch, hidden=hidden).inputs)
            found = {"the loss": loss.reshape(1)} | {name: g.reshape(-1) for name, g in tree_flatten(gradients)}
            release()
            mx.eval(found)
    return found


@contextmanager
def _training_without_luck(model: nn.Module) -> Iterator[None]:
    """In training mode, since what evaluation uses may have no gradient (Metal's kernels), but without dropout."""
    model.train()
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.eval()
    try:
        yield
    finally:
        model.eval()
