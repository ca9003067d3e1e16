"""An adapter in PEFT's format, adapter_config.json and adapter_model.safetensors: written from ours and read as ours.

Knows nothing of torch or peft: what it writes is held against them by tests.
"""

import dataclasses
import json
import math
import re
from pathlib import Path
from typing import Any

from harness.errors import HarnessError
from harness.files import make_folder, write_json
from harness.models.adapter_files import AdapterFiles, AdapterSpec, spec_from_json
from harness.models.base import Base
from harness.models.base_names import origin_of
from harness.models.peft_architectures import checked_naming
from harness.models.peft_config import CONFIG_FILE, PeftConfig
from harness.models.peft_names import Naming
from harness.models.peft_reading import Read, from_peft
from harness.models.peft_tensors import Laid, to_peft
from harness.models.tensors import Arrays, load_arrays, save_arrays

WEIGHTS_FILE = "adapter_model.safetensors"
WITH_IMAGES = "with-images"
_COMMIT = re.compile("[0-9a-f]{40}")
_OURS = "mlx"  # under which a file's metadata keep what PEFT has no word for


def write_peft(adapter: AdapterFiles, base: Base, folder: Path, *, base_name: str | None = None) -> list[str]:
    """The adapter as PEFT's, for the transformers model of the same weights; returns lines to know of it.

    `folder` is made, and within it `WITH_IMAGES` where the model with its other parts has other names. `base_name`:
    what base_model_name_or_path is to say instead of what is known of the base's origin.

    Raises:
        HarnessError: in one line, when this architecture or these layers cannot be said in PEFT's format.
        DamagedError: when the adapter's file is not what was written.
        WriteError: when the folder cannot be written.
    """
    naming = checked_naming(str(base.settings.get("model_type")))
    arrays, metadata = load_arrays(adapter.weights)
    origin = base_name or origin_of(base) or base.path
    kept = json.dumps(_to_keep(adapter, metadata, base, origin))
    revision = base.revision if origin == base.path and _COMMIT.fullmatch(base.revision) else None
    folders = {folder: naming}
    if naming.with_images is not None:
        folders[folder / WITH_IMAGES] = dataclasses.replace(naming, there=naming.with_images)
    for where, names in folders.items():
        laid = to_peft(arrays, names)
        make_folder(where)
        save_arrays(where / WEIGHTS_FILE, laid.tensors, {"format": "pt", _OURS: kept})
        write_json(where / CONFIG_FILE, _config(adapter.spec, names, laid, origin, revision))
    return _notes(base, origin, adapter.spec, naming)


def _to_keep(adapter: AdapterFiles, metadata: dict[str, str], base: Base, origin: str) -> dict[str, Any]:
    """What an adapter is beyond PEFT's words for it."""
    return {
        "spec": adapter.spec.to_json(),
        "metadata": {key: value for key, value in metadata.items() if key not in ("format", "checksum")},
        "model_type": base.settings["model_type"],
        "num_blocks": base.num_blocks,
        "base_name": origin,
    }


def _config(spec: AdapterSpec, naming: Naming, laid: Laid, origin: str, revision: str | None) -> dict[str, Any]:
    alpha = alpha_of(spec.scale, spec.rank)
    return {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": origin,
        "revision": revision,
        "r": spec.rank,
        "lora_alpha": alpha,
        "lora_dropout": 0.0 if laid.parameters else spec.dropout,
        "use_rslora": False,
        "use_dora": spec.fine_tune_type == "dora",
        "target_modules": sorted(laid.modules),
        "target_parameters": sorted(laid.parameters) or None,
        "rank_pattern": {re.escape(name): 2 * spec.rank for name in laid.doubled},
        "alpha_pattern": {re.escape(name): 2 * alpha for name in laid.doubled},
        "fan_in_fan_out": naming.conv1d,
        "bias": "none",
        "modules_to_save": None,
        "init_lora_weights": True,
        "inference_mode": True,
    }


def _notes(base: Base, origin: str, spec: AdapterSpec, naming: Naming) -> list[str]:
    said = []
    if naming.with_images is not None:
        said.append(
            f"for AutoModelForCausalLM as it is; where the model is loaded with its part for images, as vLLM does, the "
            f"same layers have other names: take the folder {WITH_IMAGES} in it"
        )
    if "quantization" in base.settings and origin_of(base) is None:
        said.append(
            f"base_model_name_or_path says {origin}, which is quantized for MLX: put the name of the model there that "
            "it was made from, or transformers and vLLM cannot load it"
        )
    if spec.dropout and (naming.experts or naming.parameters):
        said.append("PEFT has no dropout for parameters: lora_dropout says 0, which matters only for training on")
    return said


def alpha_of(scale: float, rank: int) -> float:
    """The lora_alpha that gives back `scale` when divided by `rank`: exactly, where a double does."""
    near = scale * rank
    for alpha in (near, math.nextafter(near, math.inf), math.nextafter(near, -math.inf)):
        if alpha / rank == scale:
            return int(alpha) if alpha == int(alpha) else alpha
    return near


def converted(tensors: Arrays, metadata: dict[str, str], config: PeftConfig, known: "Known") -> "Converted":
    """What a file of PEFT's is as an adapter of mlx-lm's: the reverse of what write_peft writes, or of what PEFT did.

    Raises:
        HarnessError: naming what has no place in an mlx-lm adapter.
    """
    read = from_peft(tensors, config, known.naming)
    kept = _kept(metadata)
    there = {key: str(value) for key, value in kept.get("metadata", {}).items()}
    spec = _spec(read, config, known) if "spec" not in kept else _spec_of_ours(kept, read, config)
    return Converted(read.arrays, {"format": "mlx", **there, "layers": "peft", "architecture": known.model_type}, spec)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Known:
    """Of the base that an adapter is for: an empty `model_type` and no `num_blocks` where nothing tells them."""

    model_type: str
    num_blocks: int | None
    naming: Naming


@dataclasses.dataclass(frozen=True)
class Converted:
    arrays: Arrays
    metadata: dict[str, str]
    spec: AdapterSpec


def kept_of_base(metadata: dict[str, str]) -> tuple[str, int] | None:
    """Architecture and blocks of the base, where a file is one of ours."""
    kept = _kept(metadata)
    return (str(kept["model_type"]), int(kept["num_blocks"])) if "model_type" in kept else None


def _kept(metadata: dict[str, str]) -> dict[str, Any]:
    try:
        return dict(json.loads(metadata.get(_OURS, "{}")))
    except ValueError:
        return {}


def _spec(read: Read, config: PeftConfig, known: Known) -> AdapterSpec:
    last = known.num_blocks or read.blocks[-1] + 1
    if read.blocks[-1] >= last:
        raise HarnessError(f"the adapter's last block is {read.blocks[-1]}, but {config.base} has {last}, from 0 on")
    return AdapterSpec(
        fine_tune_type="dora" if config.dora else "lora",
        rank=read.rank,
        scale=read.scale,
        dropout=config.dropout,
        num_layers=last - read.blocks[0],
        keys=read.keys,
        base=config.base,
        base_revision=config.revision if _COMMIT.fullmatch(config.revision or "") else None,
    )


def _spec_of_ours(kept: dict[str, Any], read: Read, config: PeftConfig) -> AdapterSpec:
    """What was written, with what somebody changed since in the configuration that lies beside it."""
    spec = spec_from_json(kept["spec"])
    same = config.alpha == alpha_of(spec.scale, spec.rank) and config.rank == spec.rank and not config.rslora
    repointed = config.base != kept["base_name"]
    return dataclasses.replace(
        spec,
        rank=read.rank,
        scale=spec.scale if same else read.scale,
        dropout=spec.dropout if config.dropout in (0.0, spec.dropout) else config.dropout,
        base=config.base if repointed else spec.base,
        base_revision=None if repointed else spec.base_revision,
    )
