"""What the frozen blocks made of splits: shared by the runs of one process, and kept in files for later ones."""

import hashlib
import shutil
import time
from dataclasses import replace
from pathlib import Path

from harness.config.paths import MLRUNS
from harness.console.progress import Display
from harness.data.dataset import Split
from harness.machine.group import ALONE, Group
from harness.models.base import Base
from harness.tuning.hidden import HiddenRows
from harness.tuning.loop import ENGINE
from harness.tuning.shared_trunk import compute_together


class Trunks:
    """Files under `folder`, one folder for each base and split. `seconds`: what they have taken so far.

    `way`: how the frozen blocks are computed, where there are several that round differently.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = MLRUNS / "cache" / "trunk" if folder is None else folder
        self.seconds = 0.0
        self._kept: dict[tuple[Path, int], HiddenRows] = {}

    def free_disk(self) -> int:
        """Bytes left where they are kept."""
        there = next(each for each in (self.folder, *self.folder.parents) if each.exists())
        return shutil.disk_usage(there).free

    def get(
        self, base: Base, split: Split, at: int, display: Display, *, way: str = "", group: Group = ALONE
    ) -> HiddenRows:
        """What enters block `at`; computed, by the whole group, unless this process or an earlier one did."""
        folder = self._folder_of(base, split, way)
        if (folder, at) not in self._kept:
            start = time.perf_counter()
            what = f"the {at} frozen blocks on {len(split.rows)} rows of {split.path.name}"
            with display.computing(what) as on_batch:
                release = base.releaser()
                self._kept[folder, at] = compute_together(
                    base.model, at, split.rows, folder, group=group, on_batch=on_batch, release=release
                )
            self.seconds += time.perf_counter() - start
        if folder.exists():
            folder.touch()  # its turn to go comes last
        return self._kept[folder, at]

    def accept(self, base: Base, split: Split, at: int, way: str = "") -> None:
        """What was kept by an earlier process is what this model makes of the rows."""
        key = self._folder_of(base, split, way), at
        self._kept[key] = replace(self._kept[key], inherited=False)

    def forget(self, base: Base, split: Split, way: str = "") -> None:
        """Nothing of what was kept is: it is computed anew."""
        folder = self._folder_of(base, split, way)
        shutil.rmtree(folder, ignore_errors=True)
        self._kept = {key: hidden for key, hidden in self._kept.items() if key[0] != folder}

    def keep_under(self, limit: int) -> None:
        """Remove the folders that were longest unused until all take at most `limit` bytes.

        Files that a process has mapped stay readable to it.
        """
        folders = sorted(
            (each for each in self.folder.glob("*") if each.is_dir()), key=lambda each: each.stat().st_mtime
        )
        sizes = {each: sum(file.stat().st_size for file in each.iterdir()) for each in folders}
        total = sum(sizes.values())
        for folder in folders[:-1]:
            if total <= limit:
                return
            shutil.rmtree(folder, ignore_errors=True)
            total -= sizes[folder]

    def _folder_of(self, base: Base, split: Split, way: str) -> Path:
        name = f"{ENGINE} {base.revision} {split.digest} {sorted(row.line for row in split.rows)}{way}"
        return self.folder / hashlib.sha256(name.encode()).hexdigest()[:16]
