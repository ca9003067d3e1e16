"""Everything that a run starts from, checked before it begins."""

import atexit
import gc
from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.config.checks import check_data, check_model, check_values
from harness.config.schema import Config, ModelConfig
from harness.console.progress import Display
from harness.data.dataset import Split, fixed_subset, load_split
from harness.errors import HarnessError
from harness.machine import blas
from harness.models.adapter import check_fits, spec_for
from harness.models.adapter_files import AdapterFiles, AdapterSpec
from harness.models.base import Base, open_base
from harness.models.digests import Stamp
from harness.run.identity import Parts, parts_of
from harness.tracking.references import find_adapter
from harness.tracking.store import Store
from harness.tuning.trunk_cache import Trunks


class Bench:
    """What the runs of one process share: the tracking store, the display, and what was last used of these.

    The base, the tokenized splits, what the frozen blocks made of them (`trunks`), and how steps that leave things
    out compared with whole ones (`verdicts`, see engines.py). None of it is changed by a run.
    """

    def __init__(self, store: Store, display: Display, trunks: Trunks | None = None) -> None:
        self.store = store
        self.display = display
        self.trunks = Trunks() if trunks is None else trunks
        self.verdicts: dict[Hashable, str | None] = {}
        self._config: ModelConfig | None = None
        self._base: Base | None = None
        self._splits: dict[Hashable, Split] = {}
        if not gc.get_freeze_count():
            gc.freeze()  # the libraries' million objects: a collection between phases takes a hundredth of the time
            atexit.register(gc.unfreeze)  # or connections would not be closed
        display.say(blas.describe())

    def base(self, config: ModelConfig) -> Base:
        if self._base is None or config != self._config:
            self._base = None  # let the former go before the next is loaded
            self._splits.clear()
            self._base, self._config = open_base(config, self.display), config
        return self._base

    def split(self, config: Config, name: str) -> Split:
        """`name`.jsonl tokenized for the base of `config`, again only when the file is another one.

        Raises:
            HarnessError: for the first line that cannot work.
        """
        base, folder = self.base(config.model), Path(config.data.path).expanduser()
        if not folder.is_dir():
            raise HarnessError(
                f"data.path={folder} must be a folder with train.jsonl and valid.jsonl, but there is none"
            )
        reading: dict[str, Any] = {
            "labels": config.data.labels,
            "max_seq_length": config.train.max_seq_length,
            "mask_prompt": config.train.mask_prompt,
        }
        file = folder / f"{name}.jsonl"
        written = Stamp.of(file) if file.exists() else None
        key = (file.resolve(), written, repr(reading))
        if key not in self._splits:
            split = load_split(folder, name, base.tokenizer, **reading)
            _check_vocabulary(split, base)
            self._splits[key] = split
        return self._splits[key]


@dataclass(frozen=True)
class Material:
    """`init`: the adapter to start from; `parts`: what determines the weights (see identity.py)."""

    base: Base
    spec: AdapterSpec
    train: Split
    valid: Split
    test: Split | None
    init: AdapterFiles | None
    parts: Parts
    warnings: list[str]

    @property
    def splits(self) -> list[Split]:
        return [self.train, self.valid, *([self.test] if self.test else [])]


def gather(config: Config, bench: Bench) -> Material:
    """All checks, in the order of their cost: values, the base's settings, the data, the layers' names.

    Raises:
        HarnessError: for the first thing that cannot work.
    """
    warnings = check_values(config)
    base = bench.base(config.model)
    warnings += base.warnings
    check_model(config, num_blocks=base.num_blocks)
    train_split, valid_split = bench.split(config, "train"), bench.split(config, "valid")
    test_split = bench.split(config, "test") if config.train.test else None
    for split in (train_split, valid_split, *([test_split] if test_split else [])):
        warnings += split.warnings(config.train.max_seq_length)
    valid_split = fixed_subset(valid_split, config.train.valid_rows)
    warnings += check_data(
        config,
        train_rows=len(train_split.rows),
        valid_rows=len(valid_split.rows),
        test_rows=None if test_split is None else len(test_split.rows),
    )
    spec = spec_for(config.lora, base.model, base=base.path, base_revision=base.revision)
    init = None if config.train.init_adapter is None else find_adapter(config.train.init_adapter, lambda: bench.store)
    if init is not None:
        warnings += check_fits(init, spec, base.model)
    parts = parts_of(config, spec, train_split, None if init is None else init.weights)
    for warning in warnings:
        bench.display.say(f"warning: {warning}")
    return Material(base, spec, train_split, valid_split, test_split, init, parts, warnings)


def _check_vocabulary(split: Split, base: Base) -> None:
    """MLX would take whatever lies in memory beyond the embedding."""
    for row in split.rows:
        highest = int(row.tokens.max())
        if highest >= base.vocabulary:
            raise HarnessError(
                f"{split.path}:{row.line}: token {highest} must be below the {base.vocabulary} that {base.path} knows: "
                "its tokenizer and its weights do not belong together; download or convert the model again"
            )
