"""What determines a run's weights, and nothing else: two runs of one identity end with the same bytes.

In: the base's revision, the tokenized training rows, lora.*, the weights started from, the engine's
version, and train.* but for what only watches or stops a run. Out: name, tracking, generate, judge.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.config.later import NEUTRAL, is_neutral
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
    "train.memory_limit_gb",
    "train.cache_limit_gb",
    "train.chunked_recurrence",  # counts for a model that has one: see parts_of
}

Parts = dict[str, Any]


def parts_of(
    config: Config, spec: AdapterSpec, train_split: Split, init_weights: Path | None, *, recurrent: bool
) -> Parts:
    """The parts by name, as JSON can hold them.

    `recurrent`: the base has a gated delta rule, which earlier versions trained token by token: in chunks it rounds
    otherwise.
    """
    values = flat(config)
    lora = {f"lora.{key}": getattr(spec, key) for key in _LORA}
    train = {k: v for k, v in values.items() if k.startswith("train.") and k not in _WATCHING}
    # the rows' digest has what the template's arguments do to rows; but texts are asked for with them too
    more = {"lora.b_rate": values.get("lora.b_rate"), "model.template_args": spec.template_args or None}
    if recurrent and config.train.chunked_recurrence:
        more["recurrence"] = "in chunks"
    # settings of after the first runs are no part where they train as those did
    recipe = {k: v for k, v in (train | more).items() if not is_neutral(k, v)}
    start = None if init_weights is None else hashlib.sha256(init_weights.read_bytes()).hexdigest()[:16]
    first = {"engine": ENGINE, "base": spec.base_revision, "data": train_split.digest, "start": start}
    return first | lora | recipe


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
    """Names and both values of what differs. A part that one lacks has its neutral value there."""

    def both(name: str) -> tuple[Any, Any]:
        neutral = NEUTRAL.get(name)
        return there.get(name, neutral), here.get(name, neutral)

    told = {name: both(name) for name in sorted(there.keys() | here.keys())}
    return ", ".join(f"{name} was {was} and is {now}" for name, (was, now) in told.items() if was != now)
