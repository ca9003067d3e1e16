"""What each validation row lost at each scored checkpoint: one small file in a run's folder, whole or not there.

Knows nothing of what is concluded from it. Runs of before this file have none.
"""

import tempfile
import zipfile
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.files import write_whole
from harness.tracking import run_folder
from harness.tracking.store import Store


@dataclass(frozen=True)
class ValidRows:
    """`digest`: of the validation split; `lines`: numbers of the rows' lines, `targets`: their learned tokens, [row].

    `steps`: of the checkpoints, [checkpoint]; `sums`: of the losses in nats, float32 [checkpoint, row].
    """

    digest: str
    lines: NDArray[np.int64]
    targets: NDArray[np.int64]
    steps: NDArray[np.int64]
    sums: NDArray[np.float32]


def read_valid_rows(folder: Path) -> ValidRows | None:
    """Of a run by its folder; None where there are none, or none that can be read."""
    try:
        with (folder / run_folder.VALID_ROWS).open("rb") as file, np.load(file, allow_pickle=False) as found:
            return ValidRows(str(found["digest"]), found["lines"], found["targets"], found["steps"], found["sums"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None


def valid_rows_of(store: Store, run_id: str) -> ValidRows | None:
    """The same from wherever they are: the run's folder, or what MLflow keeps of a run of another machine."""
    folder = store.runs / run_id
    if folder.exists():
        return read_valid_rows(folder)
    if run_folder.VALID_ROWS not in {artifact.path for artifact in store.client.list_artifacts(run_id)}:
        return None
    with tempfile.TemporaryDirectory() as scratch:
        return read_valid_rows(Path(store.client.download_artifacts(run_id, run_folder.VALID_ROWS, scratch)).parent)


class RowKeeper:
    """Adds to a run's file, checkpoint by checkpoint, each time the whole file."""

    def __init__(self, folder: Path, digest: str) -> None:
        self._folder, self._digest = folder, digest
        self._rows: ValidRows | None = None
        self._keeps = True

    def resume(self, steps: Collection[int]) -> None:
        """Go on from what was kept of these checkpoints; where one is missing, keep none: half of it would mislead."""
        found = read_valid_rows(self._folder)
        if found is None or found.digest != self._digest or not set(steps) <= set(found.steps.tolist()):
            (self._folder / run_folder.VALID_ROWS).unlink(missing_ok=True)
            self._keeps = not steps
            return
        kept = np.isin(found.steps, sorted(steps))
        self._write(ValidRows(found.digest, found.lines, found.targets, found.steps[kept], found.sums[kept]))

    def add(self, step: int, lines: NDArray[np.int64], targets: NDArray[np.int64], sums: NDArray[np.float32]) -> None:
        """What the rows, [row], lost at the checkpoint of this step."""
        if not self._keeps or not np.isfinite(sums).all():  # such a checkpoint ends its run and is nobody's choice
            return
        before = self._rows
        steps = np.array([step], np.int64) if before is None else np.append(before.steps, step)
        every = sums[None] if before is None else np.concatenate([before.sums, sums[None]])
        self._write(ValidRows(self._digest, lines, targets, steps, every))

    def _write(self, rows: ValidRows) -> None:
        self._rows = rows
        arrays = {name: getattr(rows, name) for name in ("lines", "targets", "steps", "sums")}
        write_whole(self._folder / run_folder.VALID_ROWS, lambda file: np.savez(file, digest=rows.digest, **arrays))
