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

# which model of mlx-lm's a type is loaded as
STANDS_FOR = {"mistral": "llama", "minimax_m2": "minimax"}
_SMALL = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "max_position_embeddings": 512}
# what transformers' configuration needs beside mlx-lm's, or otherwise
_ROPE = {"rope_theta": 10000.0, "rope_type": "default"}
_LATENT = {"num_key_value_heads": 4, "partial_rotary_factor": 1.0, "rope_parameters": _ROPE, "rope_scaling": None}
_BY_LAYER = {"rope_parameters": {"sliding_attention": _ROPE, "full_attention": _ROPE}}
_MINISTRAL = {
    "layer_types": ["full_attention"] * 4,
    "sliding_window": None,
    "rope_parameters": {**_ROPE, "llama_4_scaling_beta": 0.0, "original_max_position_embeddings": 512},
}
OWN: dict[str, dict[str, Any]] = {
    **dict.fromkeys(["deepseek_v3", "glm4_moe_lite"], _LATENT),
    "deepseek_v2": {"num_key_value_heads": 4, "topk_method": "greedy", "rope_parameters": _ROPE},
    "deepseek_v32": {**_LATENT, "index_topk": 512},  # of so few positions the two would choose differently
    "glm_moe_dsa": {**_LATENT, "index_topk": 512},
    "mistral3": {"tie_word_embeddings": False},
    "ernie4_5_moe": {"moe_layer_start_index": 0},
    "gemma4_text": _BY_LAYER,
    "gpt_bigcode": {"attention_bias": True, "mlp_bias": True},
    "gpt_neox": {"intermediate_size": 256},
    "gpt_oss": {"rope_parameters": _ROPE, "rope_theta": 10000.0},
    "internlm3": {"head_dim": 16},
    "laguna": _BY_LAYER,
    "ministral3": _MINISTRAL,
    "mistral": {"sliding_window": None},
    "nemotron": {"hidden_act": "relu2"},
    "olmo3": {"rope_theta": 500000.0, "rope_parameters": {**_ROPE, "rope_theta": 500000.0}},
    "phimoe": {"attention_bias": True, "lm_head_bias": True},
    "solar_open": {"partial_rotary_factor": 1.0, "first_k_dense_replace": 0, "use_qk_norm": False},
}
_VISION = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
_VISION |= {"image_size": 28, "patch_size": 14, "depth": 1, "num_heads": 2, "out_hidden_size": 64}
# of models whose text is a part: that part's settings
_WITHIN: dict[str, dict[str, Any]] = {
    "gemma3": tiny.settings_of("gemma3_text"),
    "gemma4": {**tiny.settings_of("gemma4_text"), **_BY_LAYER, "tie_word_embeddings": True},
    "llama4": tiny.settings_of("llama4")["text_config"],
    "mistral3": {**tiny.settings_of("ministral3"), **_MINISTRAL},
    "qwen2_vl": {
        **tiny.settings_of("qwen2"),
        "model_type": "qwen2_vl_text",
        "rope_parameters": {**_ROPE, "mrope_section": [2, 3, 3]},
        "rope_scaling": {**_ROPE, "type": "mrope", "mrope_section": [2, 3, 3]},
    },
    "qwen3_5": {**tiny.settings_of("qwen3_5")["text_config"], "num_experts": 0},
    "qwen3_5_moe": tiny.settings_of("qwen3_5_moe")["text_config"],
    "qwen3_vl": {
        **tiny.settings_of("qwen3"),
        "model_type": "qwen3_vl_text",
        "rope_parameters": {**_ROPE, "mrope_section": [2, 3, 3]},
    },
    "qwen3_vl_moe": {**tiny.settings_of("qwen3_moe"), "model_type": "qwen3_vl_moe_text"},
}
_VISION_TYPES = {
    "gemma3": "siglip_vision_model",
    "mistral3": "pixtral",
    "gemma4": "gemma4_vision",
    "llama4": "llama4_vision_model",
}
# what transformers saves in an older form, and a hub has as it is in memory
_AS_IN_MEMORY = {"qwen3_5_moe", "gpt_oss"}


def settings_of(name: str) -> dict[str, Any]:
    settings = {**_SMALL, **tiny.settings_of(STANDS_FOR.get(name, name)), "model_type": name, **OWN.get(name, {})}
    if name in _WITHIN:
        settings["text_config"] = {**_SMALL, **_WITHIN[name]}
        settings["vision_config"] = {**_VISION, "model_type": _VISION_TYPES.get(name, name)}
    return deepcopy(settings)  # transformers writes into what it is given


def make(name: str, folder: Path) -> Any:
    """The transformers model, in float32 and evaluation mode, saved as a hub has it."""
    settings = settings_of(name)
    config = AutoConfig.for_model(**settings)
    kind = transformers.AutoModelForCausalLM
    if type(config) not in kind._model_mapping:
        kind = transformers.AutoModelForImageTextToText
    model = kind.from_config(config).float().eval()
    torch.manual_seed(7)
    with torch.no_grad():
        for key, value in model.named_parameters():
            if not key.endswith("e_score_correction_bias"):  # mlx-lm leaves some of them out
                value.copy_(0.1 * torch.randn_like(value))
    model.save_pretrained(folder)
    if name in _AS_IN_MEMORY:
        save_file({key: value.contiguous() for key, value in model.state_dict().items()}, folder / "model.safetensors")
    _as_on_the_hub(folder, settings)
    return model


def with_images(name: str, text: Any, blocks: str) -> Any:
    """The class that has a part for images too, with the weights of `text`; `blocks`: what it calls the text's."""
    config = AutoConfig.for_model(**settings_of(name))
    model = transformers.AutoModelForImageTextToText.from_config(config).float().eval()
    within = blocks.removesuffix("layers")
    weights = {key.replace("model.", within, 1): value for key, value in text.state_dict().items()}
    assert model.load_state_dict(weights, strict=False).unexpected_keys == []
    return model


def _as_on_the_hub(folder: Path, settings: dict[str, Any]) -> None:
    """mlx-lm's settings beside transformers', whose part of a larger model is put back into its whole."""
    path = folder / "config.json"
    saved = json.loads(path.read_text())
    shutil.copy(path, folder / "config.transformers.json")
    if saved["model_type"] != settings["model_type"]:
        saved = {**settings, "text_config": {**settings.get("text_config", {}), **saved}}
    merged = {**saved, **settings}
    if "text_config" in settings:
        merged["text_config"] = {**saved["text_config"], **settings["text_config"]}
    path.write_text(json.dumps(merged))
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
