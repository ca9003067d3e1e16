"""Texts of many requests at once: each is taken at any step, with a slot and settings of its own.

A text depends on the weights, its prompt, its seed and its settings: on the CPU not on what it was written beside.
Rows of different adapters share a batch; one whose adapter cannot be stacked is in a batch with those of its own
adapter alone. Knows nothing of tokenizers, of files or of how requests come. Everything here belongs into one thread.
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import count, islice

import mlx.core as mx
import mlx.nn as nn

from harness.machine.device import free_memory
from harness.models.stacked import StackedAdapters
from harness.models.stacked_layer import BARE
from harness.sampling.batch import Batch
from harness.sampling.beginnings import Beginning, Beginnings, copied
from harness.sampling.choose import Chooser
from harness.sampling.fitting import Fitting
from harness.sampling.forward import Cache, Forward, can_merge, keeps_state, merged
from harness.sampling.next_tokens import Chooses
from harness.sampling.request import Request, Row, Step

__all__ = ["Engine", "Request", "Step"]

_JOINING = 8  # at most so many rows are prefilled together
_SEEN = 128  # waiting rows are looked at for those that can be prefilled together


class Engine:
    """Rows join as others finish.

    `end_ids`: the tokens that end a text. `batch_size`: at most so many rows at a time; fewer where memory is short or
    the architecture has no batches. `adapters`: what slots other than 0 stand for. `chooses`: a chooser of tokens for a
    temperature and a top_p. `settle`: let what rounding could have decided be decided by the row alone; default: on the
    CPU. `free`: tells how many bytes of memory are. `tell` hears why texts are written one by one, or adapter by
    adapter. After an error of the device an engine is not used any more.
    """

    def __init__(
        self,
        model: nn.Module,
        end_ids: set[int],
        *,
        batch_size: int,
        adapters: StackedAdapters | None = None,
        chooses: Chooses = Chooser,
        settle: bool | None = None,
        free: Callable[[], float] = free_memory,
        tell: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.batch_size, self._adapters, self._tell = batch_size, adapters, tell
        self._forward = Forward(model, adapters)
        self._fitting = Fitting(self._forward, batch_size, free, tell)
        self._beginnings = Beginnings(self._forward, free)
        self._settle = mx.default_device() == mx.cpu if settle is None else settle
        self._end_ids, self._chooses = end_ids, chooses
        self._alike = keeps_state(self._forward.new_cache())  # prompts of one length only are prefilled together
        self._numbers = count()
        self._waiting: deque[Row] = deque()
        self._batches: dict[int, Batch] = {}  # by slot where rows of others cannot join, else by that of the bare base
        self._slots: dict[int, int] = {}  # by the numbers of those that have not ended
        self._cancelled: set[int] = set()
        self._said: set[str | None] = set()

    def add(self, request: Request) -> int:
        """Its number. It waits until there is room.

        Raises:
            HarnessError: when its slot is not there, or was dropped.
        """
        if self._adapters is not None:
            self._adapters.hold(request.slot)
        row = Row(next(self._numbers), request)
        self._waiting.append(row)
        self._slots[row.number] = request.slot
        return row.number

    def cancel(self, number: int) -> None:
        """Nothing more is told of it; its row leaves at the next step. One that has ended: nothing happens."""
        if number in self._slots:
            self._cancelled.add(number)

    def step(self) -> list[Step]:
        """Let some join that there is room for, and compute one token of every row."""
        self._let_leave()
        if self._adapters is not None:
            self._beginnings.forget_others([BARE, *self._adapters.slots])
        self._let_join()
        steps = [step for batch in self._batches.values() for step in batch.step()]
        for step in steps:
            if step.finish_reason is not None:
                self._ended(step.number)
        self._batches = {key: batch for key, batch in self._batches.items() if batch.rows}
        return steps

    @property
    def busy(self) -> bool:
        """Whether a step would do anything."""
        return bool(self._slots)

    @property
    def waiting(self) -> int:
        """How many requests have not begun."""
        return len(self._waiting)

    @property
    def running(self) -> int:
        """How many rows are written at the moment."""
        return sum(len(batch.rows) for batch in self._batches.values())

    def _say_why(self, slots: Iterable[int]) -> None:
        """The rows of these adapters have no others beside them, which there are."""
        reasons = {self._adapters.alone(slot) for slot in slots} if self._adapters is not None else set()
        for why in reasons - self._said:
            self._tell(f"an adapter's texts are not written together with others': {why}")
        self._said |= reasons

    def _let_leave(self) -> None:
        if self._cancelled:
            self._waiting = deque(row for row in self._waiting if row.number not in self._cancelled)
            for batch in self._batches.values():
                batch.leave(self._cancelled)
            for number in self._cancelled & self._slots.keys():
                self._ended(number)
            self._cancelled.clear()
            self._batches = {key: batch for key, batch in self._batches.items() if batch.rows}

    def _ended(self, number: int) -> None:
        slot = self._slots.pop(number)
        if self._adapters is not None:
            self._adapters.release(slot)

    def _let_join(self) -> None:
        """One group of those that wait: they are prefilled together."""
        if not self._waiting:
            return
        written = [row for batch in self._batches.values() for row in batch.rows]
        size = self._size([*written, *islice(self._waiting, self.batch_size)])
        room = size - len(written)
        if written and room < min(_JOINING, max(size // 4, 1), len(self._waiting)):
            return
        group = self._next(min(room, _JOINING))
        rows = [row for row, _ in group]
        key = self._key(rows[0])
        if key not in self._batches:
            self._say_why({key, *self._batches} - {BARE} if self._batches else set())
            self._batches[key] = Batch(self._forward, self._end_ids, self._chooses, settle=self._settle)
        self._batches[key].join(rows, self._prefilled(group))

    def _size(self, rows: Sequence[Row]) -> int:
        lengths = [len(row.request.ids) + row.request.max_tokens for row in rows]
        return self._fitting.size(lengths, max((row.request.ids for row in rows), key=len))

    def _next(self, most: int) -> list[tuple[Row, Beginning]]:
        """The first that waits, and others that can be prefilled with it, each with what it begins with."""
        window = list(islice(self._waiting, _SEEN))
        first = window[0]
        found: list[tuple[Row, Beginning]] = []
        for row in window:
            if len(found) == most:
                break
            if self._key(row) != self._key(first):
                continue
            if self._alike and len(row.request.ids) != len(first.request.ids):
                continue
            begins = self._begins(row, window)
            if found and len(begins.ids) != len(found[0][1].ids):
                break
            found.append((row, begins))
        for row, _ in found:
            self._beginnings.remember(row.request.ids, row.request.slot)
        taken = {row.number for row, _ in found}
        self._waiting = deque(row for row in self._waiting if row.number not in taken)
        return found

    def _begins(self, row: Row, window: Sequence[Row]) -> Beginning:
        slot = row.request.slot
        others = [each.request.ids for each in window if each is not row and each.request.slot == slot]
        return self._beginnings.of(row.request.ids, slot, others)

    def _key(self, row: Row) -> int:
        """Of the batch that the row belongs into."""
        why = None if self._adapters is None else self._adapters.alone(row.request.slot)
        return BARE if why is None else row.request.slot

    def _prefilled(self, group: Sequence[tuple[Row, Beginning]]) -> Cache:
        """Keys and values of the rows' prompts but for their last token."""
        begins = [beginning for _, beginning in group]
        cache = merged([each.cache for each in begins]) if can_merge(begins[0].cache) else copied(begins[0].cache)
        rest = [row.request.ids[len(beginning.ids) : -1] for row, beginning in group]
        self._forward.prefill(rest, [row.request.slot for row, _ in group], cache)
        return cache
