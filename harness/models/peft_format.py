"""An adapter in PEFT's format, adapter_config.json and adapter_model.safetensors: written from ours and read as ours.

Knows nothing of torch or peft: what it writes is held against them by tests.
"""

import json
import math
import re
from pathlib import Path
from typing import Any

from harness.files import make_folder, write_json
from harness.models.adapter_files import AdapterFiles, AdapterSpec
from harness.models.base import Base
from harness.models.peft_names import Naming, checked_naming
from harness.models.peft_tensors import Laid, to_peft
from harness.models.tensors import load_arrays, save_arrays

CONFIG_FILE = "adapter_config.json"
WEIGHTS_FILE = "adapter_model.safetensors"


def write_peft(adapter: AdapterFiles, base: Base, folder: Path, *, base_name: str | None = None) -> list[str]:
    """The adapter as PEFT's, for the transformers model of the same weights; returns lines to know of it.

    `folder` is made; `base_name`: what base_model_name_or_path is to say instead of what is known of the base's origin.

    Raises:
        HarnessError: in one line, when this architecture or these layers cannot be said in PEFT's format.
        DamagedError: when the adapter's file is not what was written.
        WriteError: when the folder cannot be written.
    """
    naming = checked_naming(str(base.settings.get("model_type")))
    arrays, metadata = load_arrays(adapter.weights)
    laid = to_peft(arrays, naming)
    make_folder(folder)
    save_arrays(folder / WEIGHTS_FILE, laid.tensors, {"format": "pt"})
    write_json(folder / CONFIG_FILE, _config(adapter.spec, naming, laid, base_name or base.path))
    return []


def _config(spec: AdapterSpec, naming: Naming, laid: Laid, base_name: str) -> dict[str, Any]:
    alpha = alpha_of(spec.scale, spec.rank)
    return {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base_name,
        "revision": None,
        "r": spec.rank,
        "lora_alpha": alpha,
        "lora_dropout": 0.0 if laid.parameters else spec.dropout,
        "use_rslora": False,
        "use_dora": spec.fine_tune_type == "dora",
        "target_modules": laid.modules,
        "target_parameters": laid.parameters or None,
        "rank_pattern": {re.escape(name): 2 * spec.rank for name in laid.doubled},
        "alpha_pattern": {re.escape(name): 2 * alpha for name in laid.doubled},
        "fan_in_fan_out": naming.conv1d,
        "bias": "none",
        "modules_to_save": None,
        "init_lora_weights": True,
        "inference_mode": True,
    }


def alpha_of(scale: float, rank: int) -> float:
    """The lora_alpha that gives back `scale` when divided by `rank`: exactly, where a double does."""
    near = scale * rank
    for alpha in (near, math.nextafter(near, math.inf), math.nextafter(near, -math.inf)):
        if alpha / rank == scale:
            return int(alpha) if alpha == int(alpha) else alpha
    return near
