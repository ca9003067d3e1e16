"""One architecture's adapter through PEFT's format: onto transformers' model by peft, back again, and peft's own back.

Knows nothing of how the two tiny models come about.
"""

import json
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import torch
from peft import PeftModel

from harness.config.schema import ModelConfig
from harness.models.adaptable import bearing_names
from harness.models.adapter import adapter_weights, attached, loaded, save_weights
from harness.models.adapter_files import WEIGHTS_FILE, AdapterFiles, AdapterSpec, save_spec
from harness.models.adapter_reading import read_adapter
from harness.models.base import Base, open_base
from harness.models.peft_architectures import checked_naming
from harness.models.peft_folder import read_peft
from harness.models.peft_format import WITH_IMAGES, write_peft
from harness.models.peft_names import Naming
from harness.models.randomness import seeded
from harness.models.tensors import load_arrays
from tools.peft import pairs

TOKENS = list(range(5, 17))
CLOSE = 1e-4


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Largest differences of logits: of the `bare` models, with the adapter (`adapted`), and with it read back from
    what peft saves (`again`); `effect`: what the adapter changes. `same`: ours → PEFT → ours to the bit, `saved`: and
    by way of peft's own saving.
    """

    bare: float
    adapted: float
    again: float
    effect: float
    same: bool
    saved: bool

    @property
    def agrees(self) -> bool:
        return self.adapted < CLOSE < self.effect and self._kept

    @property
    def as_bare(self) -> bool:
        """Whether the adapter does the same in both, as far as two models that differ can show it."""
        return self.adapted < 2 * self.bare < self.effect and self._kept

    @property
    def _kept(self) -> bool:
        return self.again < CLOSE and self.same and self.saved


def check(name: str, folder: Path, *, kind: str = "lora") -> Outcome:
    """On every layer that mlx-lm adapts, but for those that peft does not adapt so: see Naming."""
    theirs = pairs.make(name, folder / "model")
    base = open_base(ModelConfig(path=str(folder / "model"), revision=None))
    bare = _difference(_of_torch(theirs), _of_mlx(base.model))
    adapter, wanted = _random_adapter(base, folder / "ours", kind, checked_naming(name))
    effect = _difference(wanted, _of_mlx(base.model))
    write_peft(adapter, base, folder / "theirs")
    naming = checked_naming(name)
    if naming.with_images is not None:
        whole = _worn(pairs.with_images(name, theirs, naming.with_images), folder / "theirs" / WITH_IMAGES)
        of_whole = _difference(_of_torch(whole), wanted)
    else:
        of_whole = 0.0
    worn = _worn(theirs, folder / "theirs")
    worn.save_pretrained(str(folder / "saved"))
    _name_base(folder / "saved", folder / "model")
    adapted = max(of_whole, _difference(_of_torch(worn), wanted))
    back = read_peft(folder / "theirs", "back", cache=folder / "cache")
    saved = read_peft(folder / "saved", "saved", cache=folder / "cache")
    with loaded(base.model, saved):
        again = _difference(_of_mlx(base.model), wanted)
    return Outcome(
        bare=bare,
        adapted=adapted,
        again=again,
        effect=effect,
        same=_same(back, adapter) and back.spec == adapter.spec,
        saved=_same(saved, adapter)
        and replace(saved.spec, keys=[]) == replace(adapter.spec, keys=[], base_revision=None),
    )


def _worn(model: Any, adapter: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return PeftModel.from_pretrained(model, str(adapter)).eval()


def _random_adapter(base: Base, folder: Path, kind: str, naming: Naming) -> tuple[AdapterFiles, np.ndarray]:
    """On the last two blocks of the base, and the logits with it."""
    spec = AdapterSpec(
        fine_tune_type=kind,
        rank=4,
        scale=2.0,
        dropout=0.0,
        num_layers=2,
        keys=[key for key in bearing_names(base.model) if naming.can_be(key, kind)],
        base=base.path,
        base_revision=base.revision,
    )
    with attached(base.model, spec, seed=0):
        with seeded(1):
            drawn = {key: _drawn(key, value) for key, value in adapter_weights(base.model).items()}
            mx.eval(drawn)
        base.model.load_weights(list(drawn.items()), strict=False)
        logits = _of_mlx(base.model)
    folder.mkdir(parents=True)
    save_weights(folder / WEIGHTS_FILE, drawn, {"step": "3"})
    save_spec(folder, spec)
    return read_adapter(folder), logits


def _drawn(name: str, value: mx.array) -> mx.array:
    noise = 0.1 * mx.random.normal(value.shape)
    return value * (1 + noise) if name.endswith(".m") else noise


def _of_torch(model: Any) -> np.ndarray:
    with torch.no_grad():
        return np.asarray(model(torch.tensor([TOKENS])).logits.float().numpy())


def _of_mlx(model: nn.Module) -> np.ndarray:
    return np.array(model(mx.array([TOKENS])).astype(mx.float32))


def _difference(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one - other).max())


def _name_base(saved: Path, model: Path) -> None:
    """A model made in memory has no name; one that was loaded from somewhere has."""
    path = saved / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"base_model_name_or_path": str(model)}))


def _same(one: AdapterFiles, other: AdapterFiles) -> bool:
    first, second = load_arrays(one.weights)[0], load_arrays(other.weights)[0]
    return first.keys() == second.keys() and all(mx.array_equal(first[key], second[key]).item() for key in first)
