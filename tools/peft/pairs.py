"""A tiny random model that transformers makes, in a folder that both transformers and mlx-lm load.

Knows nothing of adapters.
"""

import json
import shutil
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import AutoConfig

from tools.architectures import tiny

_SMALL = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "max_position_embeddings": 512}
# what transformers' configuration needs beside mlx-lm's, or otherwise
_GELU = {"hidden_act": "gelu", "hidden_activation": "gelu"}
OWN: dict[str, dict[str, Any]] = {
    "mistral": {"sliding_window": None},
    "gemma": _GELU,
}
# of models whose text is a part: that part's settings
_WITHIN: dict[str, dict[str, Any]] = {
    "gemma3": tiny.settings_of("gemma3_text"),
    "qwen3_5": {**tiny.settings_of("qwen3_5")["text_config"], "num_experts": 0},
    "qwen3_5_moe": tiny.settings_of("qwen3_5_moe")["text_config"],
}
# what transformers saves in an older form, and a hub has as it is in memory
_AS_IN_MEMORY = {"qwen3_5_moe", "gpt_oss"}


def settings_of(name: str) -> dict[str, Any]:
    stands_for = {"mistral": "llama", "minimax_m2": "minimax"}.get(name, name)
    settings = {**_SMALL, **tiny.settings_of(stands_for), "model_type": name, **OWN.get(name, {})}
    if name in _WITHIN:
        settings["text_config"] = {**_SMALL, **_WITHIN[name]}
    return deepcopy(settings)  # transformers writes into what it is given


def make(name: str, folder: Path) -> Any:
    """The transformers model, in float32 and evaluation mode, saved as a hub has it."""
    settings = settings_of(name)
    config = AutoConfig.for_model(**settings)
    model = transformers.AutoModelForCausalLM.from_config(config).float().eval()
    torch.manual_seed(7)
    with torch.no_grad():
        for value in model.parameters():
            value.copy_(0.1 * torch.randn_like(value))
    model.save_pretrained(folder)
    if name in _AS_IN_MEMORY:
        save_file({key: value.contiguous() for key, value in model.state_dict().items()}, folder / "model.safetensors")
    _as_on_the_hub(folder, settings)
    return model


def _as_on_the_hub(folder: Path, settings: dict[str, Any]) -> None:
    """mlx-lm's settings beside transformers', whose part of a larger model is put back into its whole."""
    path = folder / "config.json"
    saved = json.loads(path.read_text())
    shutil.copy(path, folder / "config.transformers.json")
    if saved["model_type"] != settings["model_type"]:
        saved = {**settings, "text_config": {**settings.get("text_config", {}), **saved}}
    path.write_text(json.dumps({**saved, **settings}))
    change = _STORED.get(settings["model_type"])
    if change is not None:
        weights = folder / "model.safetensors"
        save_file(dict(change(key, value) for key, value in load_file(weights).items()), weights, {"format": "pt"})


def _as_blocks(name: str, value: torch.Tensor) -> tuple[str, torch.Tensor]:
    """mlx-lm knows gpt-oss's experts as a hub has them, in 4 bits, [expert, out, in]; these are in 32."""
    if name.endswith(("experts.gate_up_proj", "experts.down_proj")):
        return f"{name}.weight", value.transpose(1, 2).contiguous()
    return name, value


# by what names a hub has them, where transformers saves them otherwise
_STORED: dict[str, Callable[[str, torch.Tensor], tuple[str, torch.Tensor]]] = {
    "gpt2": lambda name, value: (name.removeprefix("transformer."), value),
    "gpt_oss": _as_blocks,
}
