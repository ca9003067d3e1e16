"""What is checked: an adapter that could be read, its base, and what its run recorded of itself.

Its rows are handed out only where they are those that the run had. Knows no check.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from harness.config.schema import Config
from harness.console.progress import Display
from harness.data.dataset import Row, Split, fixed_subset
from harness.errors import HarnessError
from harness.models.adapter_files import AdapterFiles
from harness.models.base import Base
from harness.models.reading import read_split
from harness.releasing.measured import config_beside
from harness.tracking import run_folder
from harness.tracking.ancestry import Ancestry

_TOKENS = 512  # of all rows of a batch: logits of more take gigabytes where the vocabulary is large


class NotHereError(HarnessError):
    """What a check needs is not on this machine, or was never recorded."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """`ancestry`: what the store says of its run; None for an adapter that no run of this store trained.

    `data`: the folder where its rows are, if not where its run had them.
    """

    base: Base
    adapter: AdapterFiles
    ancestry: Ancestry | None
    display: Display = field(default_factory=Display)
    data: str | None = None

    @cached_property
    def config(self) -> Config | None:
        """Of the run that trained it, but for where its rows are now."""
        config = config_beside(self.adapter)
        if config is None or self.data is None:
            return config
        return replace(config, data=replace(config.data, path=self.data))

    @property
    def digests(self) -> Mapping[str, str]:
        """Of the tokens of each split that its run had, by the split's name."""
        return {} if self.ancestry is None else {name: each.tokens for name, each in self.ancestry.splits.items()}

    @property
    def recorded(self) -> Config:
        """Raises: NotHereError for an adapter without a run's configuration."""
        if self.config is None:
            todo = "adopt it with its data, or train it here"
            if self.ancestry is not None:
                todo = f"put back the {run_folder.CONFIG} of run {self.ancestry.run.run_id}"
            raise NotHereError(f"no run's configuration lies beside {self.adapter.source}; {todo}")
        return self.config

    @cached_property
    def train(self) -> Split:
        return self._split("train")

    @cached_property
    def valid(self) -> Split:
        """Those rows that the run validated on."""
        return self._split("valid")

    def answers(self, split: Split) -> Split:
        """The same rows, with what the assistant says marked as learned whatever the run learned."""
        config = self.recorded
        if config.train.mask_prompt:
            return split
        masked = read_split(replace(config, train=replace(config.train, mask_prompt=True)), split.name, self.base)
        lines = {row.line for row in split.rows}
        return replace(masked, rows=[row for row in masked.rows if row.line in lines])

    def _split(self, name: str) -> Split:
        """Raises: NotHereError where the rows are not here, or not those of the run."""
        config = self.recorded
        folder = Path(config.data.path).expanduser()
        file = folder / f"{name}.jsonl"
        if not file.exists():
            gone = file if folder.is_dir() else folder
            raise NotHereError(f"the run's rows are not here any more: {gone}; put them back, or say gate.data=FOLDER")
        try:
            split = read_split(config, name, self.base)
        except HarnessError as error:
            raise NotHereError(f"the run's {name} split cannot be read: {error}") from error
        if name == "valid":
            split = fixed_subset(split, config.train.valid_rows)
        there, here = self.digests.get(name), split.digest
        if there is None:
            raise NotHereError(f"its run recorded no digest of its {name} split, so that {split.path} may be another")
        if there != here:
            raise NotHereError(
                f"{split.path} is not what the run was given (tokens {here[:12]}, there {there[:12]}); "
                "put the file of then back"
            )
        return split


def batch_size(rows: Sequence[Row]) -> int:
    """How many rows to compute at a time."""
    return max(1, _TOKENS // max(len(row.tokens) for row in rows))
