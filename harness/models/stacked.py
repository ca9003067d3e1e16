"""Several adapters on one resident base at once: each row of a batch is computed with an adapter of its own.

Where all rows of a batch have one adapter, its layers are mlx-lm's own, so that the numbers are those of the adapter
put on by itself. Knows nothing of texts or of tracking. Everything here belongs into one thread, that which runs the
model.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_unflatten

from harness.errors import HarnessError, reason
from harness.models.adaptable import adaptable_names
from harness.models.adapter import adapter_modules
from harness.models.adapter_files import AdapterFiles
from harness.models.alike import alike
from harness.models.stacked_layer import BARE, Rows, StackedLayer, why_alone

__all__ = ["BARE", "StackedAdapters"]


class StackedAdapters:
    """Puts adapters on `model` and takes them off, while rows of others are under way.

    A slot is a number that is never used twice; slot 0 is the bare base. Nothing else may be attached to the model
    meanwhile. `close` leaves exactly the former modules.

    `exact`: rows of several adapters share a forward pass only where they then differ by no more than what float32
    rounds; default: on the CPU, where a text is not to depend on what it is written beside.
    """

    def __init__(self, model: nn.Module, *, exact: bool | None = None) -> None:
        self._model = model
        self._exact = mx.default_device() == mx.cpu if exact is None else exact
        self._names = adaptable_names(model)
        self._rows = Rows()
        self._layers: dict[str, StackedLayer] = {}  # by their names in the model
        self._alone: dict[int, str | None] = {}
        self._held: Counter[int] = Counter()
        self._dropped: set[int] = set()
        self._next = BARE + 1

    def put(self, adapter: AdapterFiles, scale: float = 1.0) -> int:
        """An adapter from disk, at `scale` times the scale that it was trained with; returns its slot.

        Raises:
            HarnessError: when it does not fit this base, or is not whole; the others stay as they are.
        """
        slot, self._next = self._next, self._next + 1
        try:
            with self._all_off():
                modules = adapter_modules(self._model, adapter, scale=scale, names=self._names)
                for name, module in self._model.named_modules():
                    if name in modules:
                        if name not in self._layers:  # a module without weights of its own is false
                            self._layers[name] = StackedLayer(module, self._rows)
                        self._layers[name].put(slot, modules[name])
            self._alone[slot] = self._tried(slot, adapter.source, why_alone(modules, exact=self._exact))
        except BaseException:
            self._take_off(slot)
            raise
        finally:
            self.rows([BARE])
        return slot

    def drop(self, slot: int) -> None:
        """No more rows are taken for it; it leaves the memory when its last row has ended.

        Raises:
            HarnessError: when there is no such slot, or it is the bare base's.
        """
        self._check(slot, besides=[BARE])
        self._dropped.add(slot)
        self._let_go(slot)

    def hold(self, slot: int) -> None:
        """A row begins with it (the engine's business).

        Raises:
            HarnessError: when there is no such slot, or it was dropped.
        """
        self._check(slot)
        self._held[slot] += 1

    def release(self, slot: int) -> None:
        """A row of it has ended (the engine's business)."""
        self._held[slot] -= 1
        self._let_go(slot)

    def alone(self, slot: int) -> str | None:
        """Why rows of this slot cannot share a forward pass with those of others; None: they can."""
        return self._alone.get(slot)

    def rows(self, slots: Sequence[int]) -> None:
        """The slot of each row of the batch that the next forward pass is of."""
        self._rows.set(slots)

    @property
    def slots(self) -> list[int]:
        """Of the adapters that are in memory."""
        return list(self._alone)

    @property
    def nbytes(self) -> int:
        """What the adapters take."""
        return sum(layer.nbytes for layer in self._layers.values())

    def close(self) -> None:
        """Take everything off."""
        self._put_on({name: layer.bare for name, layer in self._layers.items()})
        self._layers.clear()
        self._alone.clear()

    def _check(self, slot: int, besides: Sequence[int] = ()) -> None:
        there = [number for number in [BARE, *self._alone] if number not in {*self._dropped, *besides}]
        if slot not in there:
            known = ", ".join(map(str, there)) or "none"
            raise HarnessError(f"slot {slot} must be one that an adapter was put in, but there is {known}")

    def _let_go(self, slot: int) -> None:
        if slot not in self._dropped or self._held[slot] > 0:
            return
        self._take_off(slot)
        self._dropped.discard(slot)
        del self._alone[slot], self._held[slot]

    def _take_off(self, slot: int) -> None:
        for name, layer in list(self._layers.items()):
            layer.drop(slot)
            if not layer.slots:
                self._put_on({name: layer.bare})
                del self._layers[name]

    @contextmanager
    def _all_off(self) -> Iterator[None]:
        """The bare base inside, all layers after: also those that are new."""
        self._put_on({name: layer.bare for name, layer in self._layers.items()})
        try:
            yield
        finally:
            self._put_on(self._layers)

    def _put_on(self, modules: Mapping[str, nn.Module]) -> None:
        if modules:
            self._model.update_modules(tree_unflatten(list(modules.items())))

    def _tried(self, slot: int, source: str, why: str | None) -> str | None:
        """Whether a row in a batch with rows of the bare base gets what it gets by itself, where it is not known why
        not; and whether the model computes with it at all."""
        tokens = mx.array([[1, 2, 3, 4]] * 3)
        try:
            own, bare = (self._computed(tokens[:1], [each]) for each in (slot, BARE))
        except Exception as error:  # what an architecture's own code raises; nothing is evaluated yet
            raise HarnessError(f"{source} cannot be used on this base: it ends with {reason(error)}") from error
        if why is not None:
            return why
        try:
            mixed = self._computed(tokens, [slot, BARE, slot])
            same = alike(mixed, mx.concatenate([own, bare, own]))
        except (RuntimeError, MemoryError):  # the device's
            raise
        except Exception as error:  # of an architecture's own code, or of a layer that is called with other rows
            return f"a batch of several adapters ends with {reason(error)}"
        return None if same else "a row gets other logits in a batch of several adapters than by itself"

    def _computed(self, tokens: mx.array, slots: Sequence[int]) -> mx.array:
        self.rows(slots)
        return self._model(tokens)
