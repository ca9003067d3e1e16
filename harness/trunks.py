"""What the frozen blocks made of splits, shared by the runs of one process."""

from harness.data.dataset import Split
from harness.models.base import Base
from harness.progress import Display
from harness.tuning.hidden import HiddenRows, compute_hidden


class Trunks:
    """Of one base at a time: the last one asked for."""

    def __init__(self) -> None:
        self._revision = ""
        self._kept: dict[tuple[str, int], HiddenRows] = {}

    def get(self, base: Base, split: Split, at: int, display: Display) -> HiddenRows:
        """What enters block `at`, computed now unless an earlier run did."""
        if base.revision != self._revision:
            self._revision, self._kept = base.revision, {}
        key = (split.digest, at)
        if key not in self._kept:
            release = base.releaser()
            with display.computing(
                f"the {at} frozen blocks on {len(split.rows)} rows of {split.path.name}"
            ) as on_batch:
                self._kept[key] = compute_hidden(base.model, at, split.rows, on_batch=on_batch, release=release)
        return self._kept[key]
