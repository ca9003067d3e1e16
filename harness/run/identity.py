"""What determines a run's weights, and nothing else: two runs of one identity end with the same bytes.

In: the base's revision, the tokenized training rows, lora.*, the weights started from, the engine's
version, and train.* but for what only watches or stops a run. Out: name, tracking, generate, judge.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.config.load import flat
from harness.config.schema import Config
from harness.data.dataset import Split
from harness.models.adapter_files import AdapterSpec
from harness.models.base import Base
from harness.tuning.loop import ENGINE

_WATCHING = {
    "train.resume",
    "train.init_adapter",  # its weights count, not where they lie
    "train.steps_per_report",
    "train.steps_per_eval",
    "train.save_every",
    "train.valid_rows",
    "train.keep",
    "train.trunk_cache_gb",
    "train.patience",  # when it stops, not what a step does
    "train.test",
}

Parts = dict[str, Any]


def parts_of(config: Config, spec: AdapterSpec, train_split: Split, init_weights: Path | None) -> Parts:
    """The parts by name, as JSON can hold them."""
    lora = {f"lora.{key}": getattr(spec, key) for key in _LORA}
    train = {k: v for k, v in flat(config).items() if k.startswith("train.") and k not in _WATCHING}
    start = None if init_weights is None else hashlib.sha256(init_weights.read_bytes()).hexdigest()[:16]
    # what the rows show of them is in their digest; but texts are asked for with them, and runs before had none
    asked = {"model.template_args": spec.template_args} if spec.template_args else {}
    parts = {"engine": ENGINE, "base": spec.base_revision, "data": train_split.digest, "start": start}
    return {**parts, **lora, **train, **asked}


_LORA = ("fine_tune_type", "rank", "scale", "dropout", "num_layers", "keys")


def identity_of(parts: Mapping[str, Any]) -> str:
    """16 hex digits of a hash over the parts."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def renewed(written: Parts, base: Base) -> Parts:
    """What determined a run's weights, with the base called as it is now where the version before wrote it.

    That knew a base by a part of its bytes: whether the run's was this very one cannot be said.
    """
    is_former = base.former_revision is not None and written.get("base") == base.former_revision
    return written | {"base": base.revision} if is_former else written


def differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> str:
    """Names and both values of what differs."""
    names = sorted(key for key in there.keys() | here.keys() if there.get(key) != here.get(key))
    return ", ".join(f"{name} was {there.get(name)} and is {here.get(name)}" for name in names)
