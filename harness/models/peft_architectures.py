"""The architectures whose adapters PEFT's format can hold, and how their names differ from transformers'.

What stands here tools/peft found by comparing logits of tiny random models; docs/peft.md lists it. Knows nothing of
how names are turned into others.
"""

from typing import Any

from harness.errors import HarnessError
from harness.models.peft_names import Experts, Naming


def _names(of_all: str) -> list[str]:
    return of_all.split()


# the same names in both
AGREEING = frozenset(
    _names(
        "apertus cohere cohere2 ernie4_5 exaone4 gemma gemma2 gemma3_text gemma4_text glm glm4 granite helium "
        "hunyuan_v1_dense internlm3 lfm2 llama ministral3 mistral nemotron olmo2 olmo3 phi phi3 qwen2 qwen3 seed_oss "
        "smollm3 stablelm starcoder2"
    )
)

_WITHIN = "language_model.model.layers"  # a text model that is part of another
_WITH_IMAGES = "model.language_model.layers"  # the same in transformers
_BY_KERNEL = frozenset({"out_proj"})  # transformers' kernels take its weight past the adapter, so peft refuses it
_MIXED = "block_sparse_moe.switch_mlp"


def _mixture(here: str = "mlp.switch_mlp", there: str = "mlp.experts", *, interleaved: bool = False) -> Experts:
    return Experts(here=here, there=there, interleaved=interleaved)


def _routed(here: str, there: str, **other: str) -> dict[str, Any]:
    """What chooses experts by mlx-lm's and transformers' name, where it is a bare weight, and other layers' names."""
    return {"parameters": frozenset({here}), "renamed": {here: there, **other}}


_GRANITE = Naming(
    experts=_mixture(_MIXED, "block_sparse_moe.experts"),
    **_routed("block_sparse_moe.router.layer", "block_sparse_moe.router"),
)
_MIXTRAL = Naming(experts=_mixture(_MIXED), fused_by_peft=True, **_routed("block_sparse_moe.gate", "mlp.gate"))
_LFM2 = {
    f"feed_forward.{here}_proj": f"feed_forward.{there}"
    for here, there in zip(_names("gate down up"), _names("w1 w2 w3"), strict=True)
}

# other names, or experts
NAMINGS: dict[str, Naming] = {
    **{
        name: Naming(experts=_mixture(), fused_by_peft=True)
        for name in _names(
            "deepseek_v2 deepseek_v3 deepseek_v32 exaone_moe glm4_moe glm4_moe_lite glm_moe_dsa solar_open"
        )
    },
    **{
        name: Naming(experts=_mixture(), fused_by_peft=True, parameters=frozenset({"mlp.gate"}))
        for name in _names("ernie4_5_moe mellum olmoe qwen2_moe qwen3_moe qwen3_next")
    },
    **{name: Naming(experts=_mixture("mlp.experts"), fused_by_peft=True) for name in _names("afmoe dots1")},
    **{name: Naming(here=_WITHIN, there=_WITH_IMAGES) for name in _names("gemma3 gemma4 mistral3 qwen2_vl qwen3_vl")},
    "gpt2": Naming(here="model.h", there="transformer.h", conv1d=True),
    "gpt_bigcode": Naming(here="transformer.h", there="transformer.h"),
    "gpt_neox": Naming(here="model.h", there="gpt_neox.layers"),
    "gpt_oss": Naming(experts=_mixture("mlp.experts", interleaved=True), parameters=frozenset({"mlp.router"})),
    "gptj": Naming(here="model.h", there="transformer.h"),
    "granitemoe": _GRANITE,
    "granitemoehybrid": _GRANITE,
    "jamba": Naming(
        experts=_mixture("feed_forward.switch_mlp", "feed_forward.experts"),
        parameters=frozenset({"feed_forward.router"}),
    ),
    "lfm2_moe": Naming(
        experts=_mixture("feed_forward.switch_mlp", "feed_forward.experts"),
        **_routed("feed_forward.gate", "feed_forward.gate", **_LFM2),
    ),
    "mamba": Naming(here="backbone.layers", there="backbone.layers", without=_BY_KERNEL),
    "mamba2": Naming(here="backbone.layers", there="backbone.layers", without=_BY_KERNEL),
    "minimax_m2": _MIXTRAL,
    "mixtral": _MIXTRAL,
    "nemotron_h": Naming(here="backbone.layers", without=_BY_KERNEL),
    "phimoe": Naming(experts=_mixture(_MIXED), **_routed("block_sparse_moe.gate", "mlp.router")),
    **{
        name: Naming(here=_WITHIN, with_images=_WITH_IMAGES, experts=_mixture(), parameters=frozenset({"mlp.gate"}))
        for name in _names("qwen3_5 qwen3_5_moe")
    },
}

# what cannot be said in PEFT's format, and why
REFUSED: dict[str, str] = {
    "laguna": "peft puts it on other layers of transformers' model",
    "falcon_h1": "mlx-lm folds the model's multipliers into the weights that the adapter was learned on",
}


def naming_of(model_type: str) -> Naming | None:
    """None for an architecture whose names were not held against transformers'."""
    return Naming() if model_type in AGREEING else NAMINGS.get(model_type)


def checked_naming(model_type: str) -> Naming:
    """The same for what is to be converted.

    Raises:
        HarnessError: with the reason, for one that is not among them.
    """
    found = naming_of(model_type)
    if found is None:
        why = REFUSED.get(model_type, "it was not held against a model of transformers")
        raise HarnessError(
            f"a {model_type} adapter cannot be converted to or from PEFT's format: {why}; use the fused model instead"
        )
    return found
