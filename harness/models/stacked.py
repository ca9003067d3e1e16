"""Several adapters on one resident base at once: each row of a batch is computed with an adapter of its own.

Knows nothing of texts or of tracking. Everything here belongs into one thread, that which runs the model.
"""

from collections.abc import Sequence

import mlx.nn as nn

from harness.models.adapter_files import AdapterFiles

BARE = 0  # the slot of the base without an adapter


class StackedAdapters:
    """Puts adapters on `model` and takes them off, while rows of others are under way.

    A slot is a number that is never used twice; slot 0 is the bare base. Nothing else may be attached to the model
    meanwhile. `close` leaves exactly the former modules.
    """

    def __init__(self, model: nn.Module) -> None:
        raise NotImplementedError

    def put(self, adapter: AdapterFiles, scale: float = 1.0) -> int:
        """An adapter from disk, at `scale` times the scale that it was trained with; returns its slot.

        Raises:
            HarnessError: when it does not fit this base, or is not whole; the others stay as they are.
        """
        raise NotImplementedError

    def drop(self, slot: int) -> None:
        """No more rows are taken for it; it leaves the memory when its last row has ended.

        Raises:
            HarnessError: when there is no such slot, or it is the bare base's.
        """
        raise NotImplementedError

    def hold(self, slot: int) -> None:
        """A row begins with it (the engine's business).

        Raises:
            HarnessError: when there is no such slot, or it was dropped.
        """
        raise NotImplementedError

    def release(self, slot: int) -> None:
        """A row of it has ended (the engine's business)."""
        raise NotImplementedError

    def alone(self, slot: int) -> str | None:
        """Why rows of this slot cannot share a forward pass with those of others; None: they can."""
        raise NotImplementedError

    def rows(self, slots: Sequence[int]) -> None:
        """The slot of each row of the batch that the next forward pass is of."""
        raise NotImplementedError

    def close(self) -> None:
        """Take everything off."""
        raise NotImplementedError
