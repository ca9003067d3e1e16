"""Where a reference leads: the files of an adapter, and which version it is. Knows MLflow's registry and folders.

Everything here may take its time, and is called outside the event loop.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from harness.models.adapter_files import AdapterFiles
from harness.models.weights_file import read_metadata
from harness.tracking.references import find_adapter
from harness.tracking.registry import find_version
from harness.tracking.store import Store


@dataclass(frozen=True, kw_only=True)
class Found:
    """`version`: of the registry; None for what has none. `run`: that trained it, where that is known."""

    adapter: AdapterFiles
    version: str | None
    run: str | None


def moves(reference: str | None) -> bool:
    """Whether it may mean another version later: an alias."""
    return reference is not None and reference.startswith("models:/") and "@" in reference


class Registry:
    """`open_store`: called when a reference first needs it."""

    def __init__(self, open_store: Callable[[], Store]) -> None:
        self._open, self._store = open_store, None  # type: tuple[Callable[[], Store], Store | None]
        self._opening = threading.Lock()

    def version(self, reference: str) -> str:
        """That an alias means now.

        Raises:
            HarnessError: when there is none.
        """
        return str(find_version(self._opened(), reference).version)

    def find(self, reference: str) -> Found:
        """
        Raises:
            HarnessError: when there is no such adapter, or it is not whole.
        """
        version = None
        pinned = reference
        if moves(reference):  # asked once, so that version and files belong together
            version = self.version(reference)
            pinned = f"{reference.partition('@')[0]}/{version}"
        elif reference.startswith("models:/") and reference.count("/") > 1:
            version = reference.rpartition("/")[2]
        found = find_adapter(pinned, self._opened)
        adapter = AdapterFiles(found.spec, found.weights, reference)
        run = read_metadata(adapter.weights).get("run")
        return Found(adapter=adapter, version=version, run=run)

    def _opened(self) -> Store:
        with self._opening:
            if self._store is None:
                self._store = self._open()
            return self._store
