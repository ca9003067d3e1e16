"""From adapter references to files."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import HarnessError
from harness.models.adapter_files import AdapterFiles
from harness.models.adapter_reading import numbered_checkpoints, read_adapter
from harness.tracking import queries
from harness.tracking.candidates import best_of_trials, run_checkpoints
from harness.tracking.checkpoints import checkpoint_folder
from harness.tracking.registry import resolve
from harness.tracking.run_kind import RunKind
from harness.tracking.store import Store

_RUN, _SWEEP, _MODEL = "runs:/", "sweeps:/", "models:/"
_NONE = "none"


def find_adapter(reference: str, store: Callable[[], Store]) -> AdapterFiles:
    """A folder, a checkpoint file, runs:/<id> or models:/name@alias; only the last two open the store.

    Raises:
        HarnessError: when there is no such adapter.
    """
    if reference.startswith((_RUN, _MODEL)):
        return read_adapter(resolve(store(), reference), reference)
    return read_adapter(Path(reference).expanduser(), reference)


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which adapters are wanted: see GenerateCommand."""

    adapters: list[str | None] | str | None
    from_iteration: int | None
    first: int | None
    top: int

    def find(self, store: Callable[[], Store]) -> list[AdapterFiles | None]:
        """The adapters in the order given; None is the bare base.

        Raises:
            HarnessError: for one that is not there.
        """
        wanted = self.adapters if isinstance(self.adapters, list) else [self.adapters]
        if not wanted:
            raise HarnessError("adapters must not be empty; give at least one, or none for the bare base")
        found: dict[str | Path, AdapterFiles | None] = {}
        for reference in wanted:
            if reference is None or reference == _NONE:
                found[_NONE] = None
            else:
                for adapter in self._of(reference, store):
                    found.setdefault(adapter.weights.resolve(), adapter)
        return list(found.values())

    def _of(self, reference: str, store: Callable[[], Store]) -> Sequence[AdapterFiles]:
        several = self.from_iteration is not None or self.first is not None
        if reference.startswith(_SWEEP):
            return self._of_sweep(reference.removeprefix(_SWEEP), store())
        if several and reference.startswith(_RUN):
            return self._of_run(reference, store())
        if several and (folder := Path(reference).expanduser()).is_dir():
            return numbered_checkpoints(folder, reference, from_iteration=self.from_iteration, first=self.first)
        return [find_adapter(reference, store)]

    def _of_run(self, reference: str, store: Store) -> list[AdapterFiles]:
        every = run_checkpoints(store, reference.removeprefix(_RUN).strip("/"))
        chosen = [point for point in every if point.step >= (self.from_iteration or 0)][: self.first]
        if not chosen:
            there = ", ".join(str(point.step) for point in every) or "none at all"
            raise HarnessError(f"{reference} has no checkpoint from update {self.from_iteration} on; it has {there}")
        return [read_adapter(checkpoint_folder(store, point.model_id), reference) for point in chosen]

    def _of_sweep(self, sweep_id: str, store: Store) -> list[AdapterFiles]:
        sweep = queries.newest_sweep(store) if sweep_id == "newest" else queries.get(store, sweep_id)
        if sweep.kind is not RunKind.SWEEP:
            raise HarnessError(f"sweeps:/{sweep_id} is a single run; give it as runs:/{sweep_id}")
        best = best_of_trials(store, sweep, self.top)
        if not best:
            raise HarnessError(f"sweeps:/{sweep_id} has no checkpoint yet; python -m harness.runs shows its trials")
        return [read_adapter(checkpoint_folder(store, point.model_id), f"{_RUN}{point.run_id}") for point in best]
