"""A tiny random model that transformers makes, in a folder that both transformers and mlx-lm load.

Knows nothing of adapters.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import AutoConfig

from tools.architectures import tiny

_SMALL = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "max_position_embeddings": 512}
# what transformers' configuration needs beside mlx-lm's, or otherwise
OWN: dict[str, dict[str, Any]] = {
    "mistral": {"sliding_window": None},
}


def settings_of(name: str) -> dict[str, Any]:
    stands_for = {"mistral": "llama"}.get(name, name)
    return {**_SMALL, **tiny.settings_of(stands_for), "model_type": name, **OWN.get(name, {})}


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
    _as_on_the_hub(folder, settings)
    return model


def _as_on_the_hub(folder: Path, settings: dict[str, Any]) -> None:
    """mlx-lm's settings beside transformers', whose part of a larger model is put back into its whole."""
    path = folder / "config.json"
    saved = json.loads(path.read_text())
    shutil.copy(path, folder / "config.transformers.json")
    if saved["model_type"] != settings["model_type"]:
        saved = {**settings, "text_config": {**settings.get("text_config", {}), **saved}}
    path.write_text(json.dumps({**settings, **saved}))
    change = _STORED.get(settings["model_type"])
    if change is not None:
        weights = folder / "model.safetensors"
        save_file({change(key): value for key, value in load_file(weights).items()}, weights, {"format": "pt"})


# by what names a hub has them, where transformers saves them otherwise
_STORED: dict[str, Callable[[str], str]] = {
    "gpt2": lambda name: name.removeprefix("transformer."),
}
