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
    return {"engine": ENGINE, "base": spec.base_revision, "data": train_split.digest, "start": start, **lora, **train}


_LORA = ("fine_tune_type", "rank", "scale", "dropout", "num_layers", "keys")


def identity_of(parts: Mapping[str, Any]) -> str:
    """16 hex digits of a hash over the parts."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> str:
    """Names and both values of what differs."""
    names = sorted(key for key in there.keys() | here.keys() if there.get(key) != here.get(key))
    return ", ".join(f"{name} was {there.get(name)} and is {here.get(name)}" for name in names)
