"""A tiny random model of every architecture of mlx-lm, from the names of its settings: four blocks of width 64.

In memory, or in a folder as mlx-lm lays one out, with a tokenizer. Knows nothing of what is tried on it.
"""

import dataclasses
import json
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import mlx_lm.models
from mlx.utils import tree_flatten, tree_map

from harness.config.paths import ROOT
from harness.models import byte_level
from harness.models.randomness import seeded

VOCABULARY = 320  # a byte each, three special tokens and some pairs

# what mlx-lm's models share, and what has no model of its own
_HELPERS = {"__init__", "activations", "base", "bitlinear_layers", "cache", "gated_delta", "mla", "pipeline"}
_HELPERS |= {"rope_utils", "ssm", "switch_layers"}
# what cannot be tried here
WITHOUT = {
    "muse_spark": "its kernels are Metal's, and this page was written on a CPU",
    "olmo": "it needs a package of its own",
    "phi3small": "its gradient ends the process inside MLX on a CPU",
    "prism_hadamard_qwen35": "it is another model's weights, packed in a way that nothing here writes",
    "recurrent_gemma": "this version of mlx-lm cannot make it",
}
EVERY = sorted(path.stem for path in Path(mlx_lm.models.__path__[0]).glob("*.py") if path.stem not in _HELPERS)
MODELLED = [name for name in EVERY if name not in WITHOUT]

_SLIDING = ["sliding_attention", "full_attention"] * 2
_ROPE = {"rope_theta": 10000.0, "rope_type": "default", "type": "default"}
_YARN = {"type": "yarn", "rope_type": "yarn", "rope_theta": 10000.0, "factor": 2.0, "beta_fast": 32.0}
_YARN |= {"original_max_position_embeddings": 256, "beta_slow": 1.0, "mscale": 1.0, "mscale_all_dim": 1.0}
_YARN |= {"llama_4_scaling_beta": 0.1}


def _same(value: Any, names: str) -> dict[str, Any]:
    return dict.fromkeys(names.split(), value)


# a small value for every setting, by all the names that architectures have for it
_VALUES: dict[str, Any] = {
    **_same(64, "hidden_size dim n_embd d_model model_dim hidden_dim dims lru_width"),
    **_same(4, "num_hidden_layers n_layer n_layers num_layers num_transformer_layers"),
    **_same(128, "intermediate_size ffn_hidden_size n_inner ff_intermediate_size block_ff_dim intermediate_size_mlp"),
    **_same(64, "shared_intermediate_size moe_intermediate_size shared_expert_intermediate_size block_dim"),
    **_same(64, "moe_shared_expert_intermediate_size"),
    **_same(32, "expert_ffn_hidden_size block_multiple_of dim_model_base ffn_dim_divisor"),
    **_same(4, "num_attention_heads n_head n_heads num_heads num_query_heads mamba_num_heads linear_num_value_heads"),
    **_same(2, "num_key_value_heads n_kv_heads n_kv_head num_kv_heads num_attention_groups linear_num_key_heads"),
    **_same(16, "head_dim v_head_dim kv_lora_rank qk_nope_head_dim index_head_dim kv_channels query_pre_attn_scalar"),
    **_same(16, "linear_key_head_dim linear_value_head_dim mamba_head_dim mamba_d_head state_size ssm_state_size"),
    **_same(16, "mamba_d_state a_low_rank_dim v_low_rank_dim gate_low_rank_dim decay_low_rank_dim"),
    **_same(16, "hidden_size_per_layer_input"),
    **_same(VOCABULARY, "vocab_size vocab_size_per_layer_input"),
    **_same(
        512, "max_position_embeddings n_positions n_ctx max_seq_len max_context_length block_size model_max_length"
    ),
    **_same(1e-5, "rms_norm_eps norm_eps layer_norm_eps layer_norm_epsilon layernorm_epsilon block_norm_eps"),
    **_same(1e-5, "post_norm_eps"),
    **_same(10000.0, "rope_theta rotary_emb_base rope_local_base_freq"),
    **_same(4, "num_experts num_local_experts n_routed_experts moe_num_experts altup_num_inputs mamba_dt_rank"),
    **_same(
        4, "time_step_rank mamba_d_conv conv_kernel conv_kernel_size linear_conv_kernel_dim conv1d_width index_topk"
    ),
    **_same(2, "num_experts_per_tok num_experts_per_token moe_topk top_k moe_k sliding_window_pattern index_n_heads"),
    **_same(2, "full_attention_interval mamba_expand layer_group_size group_norm_size cla_share_factor"),
    **_same(2, "attn_layer_period expert_layer_period dense_attention_every_n_layers"),
    **_same(1, "n_shared_experts num_shared_experts num_shared_expert moe_num_shared_experts n_group topk_group"),
    **_same(
        1, "first_k_dense_replace num_dense_layers decoder_sparse_step n_groups mamba_n_groups num_kv_reuse_layers"
    ),
    **_same(1, "attn_layer_offset expert_layer_offset moe_layer_freq zero_expert_num interleave_moe_layer_step"),
    **_same(8, "qk_rope_head_dim sliding_window sliding_window_size attention_window_size rotary_dim laurel_rank"),
    **_same(8, "mamba_n_heads attention_chunk_size"),
    **_same(0, "altup_active_idx num_kv_shared_layers"),
    **_same(1.0, "routed_scaling_factor logit_scale embedding_multiplier residual_multiplier logits_scaling scale_emb"),
    **_same(1.0, "block_ffn_dim_multiplier output_multiplier ffn_multipliers"),
    **_same(0.5, "partial_rotary_factor rotary_pct"),
    **_same(30.0, "final_logit_softcapping logits_soft_cap"),
    **_same(True, "norm_topk_prob use_conv_bias use_qk_norm use_mixed_mlp_moe use_cla use_expert_bias qk_norm"),
    **_same(True, "mla_scale_q_lora mla_scale_kv_lora"),
    **_same(False, "attention_bias mlp_bias tie_word_embeddings bias use_bias conv_bias qk_layernorm use_qkv_bias"),
    **_same(False, "mup_enabled post_norm block_auto_adjust_ff_dim mamba_proj_bias linear_allow_neg_eigval"),
    "q_lora_rank": 24,
    "mamba_d_ssm": 128,
    "global_head_dim": 16,
    "num_vocab": VOCABULARY,
    "share_expert_dim": 64,
    "hidden_size_per_head": 16,
    "conv_L_cache": 3,
    "scale_depth": 1.4,
    "gegelu_limit": 20.0,
    "attention_multiplier": 0.25,
    "time_step_min": 0.001,
    "time_step_max": 0.1,
    "time_step_limit": (0.0, 100.0),
    "hidden_act": "silu",
    "mlp_only_layers": [],
    "topk_method": "noaux_tc",
    "scoring_func": "sigmoid",
    "rope_parameters": _ROPE,
}

_GEMMA3N = {
    **{name: _VALUES[name] for name in ("hidden_size", "num_hidden_layers", "intermediate_size", "vocab_size")},
    **{name: _VALUES[name] for name in ("num_attention_heads", "num_key_value_heads", "head_dim", "rms_norm_eps")},
    **{
        name: _VALUES[name] for name in ("max_position_embeddings", "rope_theta", "rope_local_base_freq", "laurel_rank")
    },
    **{name: _VALUES[name] for name in ("sliding_window", "final_logit_softcapping", "hidden_size_per_layer_input")},
    **{name: _VALUES[name] for name in ("vocab_size_per_layer_input", "num_kv_shared_layers", "altup_active_idx")},
    "model_type": "gemma3n_text",
    "layer_types": _SLIDING,
    "activation_sparsity_pattern": [0.0] * 4,
    "altup_num_inputs": 2,
    "altup_coef_clip": 120.0,
    "altup_correct_scale": True,
    "rope_scaling": None,
}

_KDA = {
    "linear_attn_config": {
        "kda_layers": [1, 3],
        "full_attn_layers": [2, 4],
        "num_heads": 4,
        "head_dim": 16,
        "short_conv_kernel_size": 4,
    }
}
_MIMO = {
    **_same(4, "swa_num_attention_heads"),
    **_same(2, "swa_num_key_value_heads"),
    **_same(16, "swa_head_dim swa_v_head_dim"),
    "swa_rope_theta": 10000.0,
    "hybrid_layer_pattern": [1, 0, 1, 0],
    "moe_layer_freq": [0, 1, 1, 1],
    "add_swa_attention_sink_bias": True,
    "add_full_attention_sink_bias": False,
}
_MINIMAX = {
    **_VALUES,
    "dense_intermediate_size": 96,
    "moe_layer_freq": [0, 1, 1, 1],
    "sparse_attention_freq": [0, 1, 0, 1],
    "index_block_size": 4,
    "index_topk_blocks": 2,
}
_CONVOLVING = {"layer_types": ["conv", "full_attention"] * 2, "full_attn_idxs": [1, 3]}
_BY_LAYER = {"sliding_attention": _ROPE, "full_attention": _ROPE}
_ATTENTION = {"no_op": False, "replace_with_linear": False, "n_heads_in_group": 2}
_FFN = {"no_op": False, "replace_with_linear": False, "ffn_mult": 1.5}

# what an architecture needs beside that, or otherwise
_OWN: dict[str, dict[str, Any]] = {
    **_same({"layer_types": _SLIDING}, "afmoe gear"),
    **_same(_CONVOLVING, "lfm2 lfm2_moe"),
    "baichuan_m1": {
        "sliding_window_layers": [0, 2],
        "conv_window": 2,
        "num_swa_attention_heads": 4,
        "num_swa_key_value_heads": 2,
    },
    "dbrx": {
        "ffn_config": {"ffn_hidden_size": 64, "moe_num_experts": 4, "moe_top_k": 2, "moe_jitter_eps": 0},
        "attn_config": {"kv_n_heads": 2, "clip_qkv": 8.0, "rope_theta": 10000.0},
    },
    "deepseek_v2": {"rope_scaling": _YARN},
    "exaone4": {"rope_scaling": None, "sliding_window_pattern": "LG", "layer_types": _SLIDING},
    "exaone_moe": {"layer_types": _SLIDING, "is_moe_layer": [False, True, True, True]},
    "gemma3n": {"text_config": _GEMMA3N},
    "glm4_moe": {"rope_scaling": None},
    "granitemoehybrid": {"layer_types": ["mamba", "attention"] * 2},
    "hunyuan": {"rope_scaling": {"alpha": 1.0, "factor": 1.0, "type": "dynamic"}},
    "kimi_k3": {"text_config": {**_VALUES, **_KDA, "model_type": "kimi_linear", "hidden_act": "situ"}},
    "kimi_linear": _KDA,
    "lfm2-vl": {"text_config": {**_VALUES, "model_type": "lfm2", **_CONVOLVING}},
    "llama4": {"text_config": {**_VALUES, "model_type": "llama4_text", "rope_scaling": None, "num_experts_per_tok": 1}},
    "llama4_text": {"no_rope_layers": [1, 1, 1, 0]},
    "longcat_flash": {"attention_method": "MLA", "zero_expert_type": "identity"},
    "mamba2": {"head_dim": 32},
    "mellum": {"layer_types": _SLIDING, "rope_parameters": _BY_LAYER},
    "mimo_v2_flash": _MIMO,
    "minicpm3": {"rope_scaling": {"original_max_position_embeddings": 256}},
    "minimax_m3_vl": {"text_config": _MINIMAX},
    "ministral3": {"layer_types": _SLIDING, "rope_parameters": _YARN},
    "mistral4": {"rope_parameters": _YARN},
    "nemotron-nas": {"block_configs": [{"attention": _ATTENTION, "ffn": _FFN}] * 4},
    "nemotron_h": {"hybrid_override_pattern": "M*-M", "mlp_hidden_act": "relu2"},
    "openelm": {
        "ffn_multipliers": [1.0] * 4,
        "num_query_heads": [4] * 4,
        "num_kv_heads": [2] * 4,
        "qkv_multipliers": [1.0, 1.0],
    },
    "plamo": {"num_attention_heads": 8, "n_shared_head": 4},
    "qwen": {"intermediate_size": 192},
    "recurrent_gemma": {"block_types": ["recurrent", "attention"]},
    "spark2_5": {"rope_parameters": _BY_LAYER, "hidden_act": "gelu"},
    "step3p5": {"moe_top_k": 2},
}


def settings_of(name: str) -> dict[str, Any]:
    """What a config.json of it would say."""
    arguments = import_module(f"mlx_lm.models.{name}").ModelArgs
    fields = {field.name for field in dataclasses.fields(arguments)}
    settings = {"model_type": name, **{each: _VALUES[each] for each in fields & _VALUES.keys()}, **_OWN.get(name, {})}
    if "text_config" in fields and "text_config" not in settings:
        settings["text_config"] = {**_VALUES, "model_type": f"{name}_text"}
    return settings


def tiny_model(name: str, **own: Any) -> tuple[nn.Module, dict[str, Any]]:
    """In float32, frozen, in evaluation mode, the same every time; and its settings, of which some may be given."""
    module, settings = import_module(f"mlx_lm.models.{name}"), settings_of(name) | own
    model = module.Model(module.ModelArgs.from_dict(settings))

    def drawn(value: mx.array) -> mx.array:
        return 0.1 * mx.random.normal(value.shape) if mx.issubdtype(value.dtype, mx.floating) else value

    with seeded(7):
        model.update(tree_map(drawn, model.parameters()))
        mx.eval(model.parameters())
    model.freeze()
    model.eval()
    return model, settings


def save(name: str, folder: Path) -> None:
    """The model in a folder, as mlx-lm and so the harness load one."""
    model, settings = tiny_model(name)
    folder.mkdir(parents=True, exist_ok=True)
    byte_level.save(_tokenizer(), folder)
    (folder / "config.json").write_text(json.dumps(settings), encoding="utf-8")
    weights = dict(tree_flatten(model.parameters()))
    mx.save_safetensors(str(folder / "model.safetensors"), weights, {"format": "mlx"})


@cache
def _tokenizer() -> Any:
    poems = json.loads((ROOT / "data" / "poems-en.json").read_text("utf-8"))
    return byte_level.learned([text for poem in poems for text in poem.values()], vocabulary=VOCABULARY)
