"""From an adapter reference to its files."""

from collections.abc import Callable
from pathlib import Path

from harness.models.adapter import AdapterFiles, read_adapter
from harness.tracking.registry import resolve
from harness.tracking.store import Store


def find_adapter(reference: str, store: Callable[[], Store]) -> AdapterFiles:
    """A folder, a checkpoint file, runs:/<id> or models:/name@alias; only the last two open the store.

    Raises:
        HarnessError: when there is no such adapter.
    """
    if reference.startswith(("runs:/", "models:/")):
        return read_adapter(resolve(store(), reference), reference)
    return read_adapter(Path(reference).expanduser(), reference)
