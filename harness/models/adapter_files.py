"""An adapter on disk, in mlx-lm's own format: its configuration, its weights' names and shapes, its checkpoints.

Knows nothing of MLX: how an adapter is put on a model is adapter.py's business, which format a folder has
adapter_reading.py's, where a reference such as runs:/… leads tracking's.
"""

import dataclasses
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import HarnessError
from harness.files import write_json
from harness.models.weights_file import read_metadata, read_shapes

CONFIG_FILE = "adapter_config.json"
WEIGHTS_FILE = "adapters.safetensors"
_CHECKPOINT = re.compile(r"^(\d{7})_adapters\.safetensors$")


@dataclass(frozen=True)
class AdapterSpec:
    """What adapter_config.json says: enough to attach the adapter to its base again, and to ask it as it was taught.

    `template_args`: what the chat template was given; written only where there are any.
    """

    fine_tune_type: str
    rank: int
    scale: float
    dropout: float
    num_layers: int
    keys: list[str]
    base: str | None
    base_revision: str | None
    template_args: dict[str, Any] = dataclasses.field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """mlx-lm's own keys, and ours for lineage."""
        parameters = {"rank": self.rank, "scale": self.scale, "dropout": self.dropout, "keys": self.keys}
        return {
            "fine_tune_type": self.fine_tune_type,
            "num_layers": self.num_layers,
            "lora_parameters": parameters,
            "model": self.base,
            "model_revision": self.base_revision,
            **({"template_args": self.template_args} if self.template_args else {}),
        }

    def scaled(self, factor: float) -> "AdapterSpec":
        return dataclasses.replace(self, scale=self.scale * factor)


@dataclass(frozen=True)
class AdapterFiles:
    """An adapter on disk: its spec and one file of weights. `source` is the reference it was found by."""

    spec: AdapterSpec
    weights: Path
    source: str

    @property
    def iteration(self) -> int | None:
        """The update that the weights were saved after, as the file itself or its name says."""
        said = read_metadata(self.weights).get("step")
        return checkpoint_step(self.weights) if said is None else int(said)


def spec_from_json(content: Mapping[str, Any]) -> AdapterSpec:
    """The reverse of to_json, and what mlx-lm's own file says; whatever error it is where that is neither."""
    parameters = content["lora_parameters"]
    return AdapterSpec(
        fine_tune_type=content.get("fine_tune_type", "lora"),
        rank=int(parameters["rank"]),
        scale=float(parameters["scale"]),
        dropout=float(parameters.get("dropout", 0.0)),
        num_layers=int(content["num_layers"]),
        keys=[str(key) for key in parameters.get("keys") or []],
        base=content.get("model"),
        base_revision=content.get("model_revision"),
        template_args=dict(content.get("template_args") or {}),
    )


def checkpoint_name(step: int) -> str:
    return f"{step:07d}_{WEIGHTS_FILE}"


def checkpoint_step(path: Path) -> int | None:
    """The step in the name of a checkpoint, or of what a link to one leads to."""
    match = _CHECKPOINT.match(path.resolve().name)
    return int(match[1]) if match else None


def save_spec(folder: Path, spec: AdapterSpec) -> None:
    write_json(folder / CONFIG_FILE, spec.to_json())


def read_mlx_adapter(path: Path, source: str | None = None) -> AdapterFiles:
    """An adapter's folder (its adapters.safetensors), or one checkpoint file in such a folder.

    Raises:
        HarnessError: when a part is missing or unreadable.
    """
    weights = path / WEIGHTS_FILE if path.is_dir() else path
    if not weights.exists():
        raise HarnessError(
            f"adapter {source or path} must be a folder with {WEIGHTS_FILE}, a checkpoint file, "
            f"runs:/<id> or models:/name@alias, but there is no {weights}"
        )
    config = weights.parent / CONFIG_FILE
    if not config.exists():
        raise HarnessError(f"{CONFIG_FILE} must lie beside {weights.name}, but {weights.parent} has none")
    adapter = AdapterFiles(_read_spec(config), weights, source or str(path))
    _check_shapes(adapter, config)
    return adapter


def _check_shapes(adapter: AdapterFiles, config: Path) -> None:
    """The configuration against the file's header: what a wrong one would cost is not tried out.

    mlx-lm has the rank first or last in each lora_b.
    """
    shapes = {name: shape for name, shape in read_shapes(adapter.weights).items() if name.endswith(".lora_b")}
    if not shapes:
        raise HarnessError(f"{adapter.weights} must hold an adapter's weights, but none of its names ends in .lora_b")
    rank = adapter.spec.rank
    for name, shape in shapes.items():
        if rank not in (shape[0], shape[-1]):
            raise HarnessError(
                f"{config} says rank {rank}, but {name} is {shape} in {adapter.weights.name}; "
                "the two do not belong together: copy both again"
            )


def _read_spec(path: Path) -> AdapterSpec:
    try:
        spec = spec_from_json(json.loads(path.read_text("utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise HarnessError(f"{path} is not an adapter's configuration: {error!r}") from error
    if spec.fine_tune_type not in ("lora", "dora"):
        raise HarnessError(f"{path}: fine_tune_type must be lora or dora, but got {spec.fine_tune_type}")
    if not (math.isfinite(spec.scale) and 0 <= spec.dropout < 1):
        raise HarnessError(
            f"{path}: scale must be a finite number and dropout one from 0 to below 1, "
            f"but got {spec.scale:g} and {spec.dropout:g}"
        )
    return spec
