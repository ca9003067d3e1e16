"""Where a layer of an mlx-lm model is in transformers' model of the same weights, by architecture.

`AGREEING` and `NAMINGS` are what tools/peft found by comparing logits, and docs/export.md lists it. Knows nothing of
files.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from harness.errors import HarnessError


@dataclass(frozen=True, kw_only=True)
class Experts:
    """A mixture's matrices: `here` three SwitchLinear of [expert, out, in], `there` a parameter of gate and up in one.

    `interleaved`: gate and up take turns in its rows, else one stands below the other.
    """

    here: str
    there: str
    interleaved: bool = False
    down: str = "down_proj"


@dataclass(frozen=True, kw_only=True)
class Naming:
    """How names differ: of the list of blocks, and of layers within a block by how they begin.

    `parameters`: layers that are bare weights in transformers, as what chooses experts is. `conv1d`: its weights lie
    transposed, as GPT-2's do. `fused_by_peft`: peft takes gate_proj and up_proj in target_modules for experts of an
    older transformers, so that there they are named as parameters.
    """

    here: str = "model.layers"
    there: str = "model.layers"
    renamed: Mapping[str, str] = field(default_factory=dict)
    parameters: frozenset[str] = frozenset()
    experts: Experts | None = None
    conv1d: bool = False
    fused_by_peft: bool = False

    def there_of(self, within: str) -> str:
        return _renamed(within, self.renamed)

    def here_of(self, within: str) -> str:
        return _renamed(within, {there: here for here, there in self.renamed.items()})

    def is_parameter(self, within: str) -> bool:
        """`within`: mlx-lm's name in a block."""
        last = self.there_of(within).rpartition(".")[2]
        return within in self.parameters or (self.fused_by_peft and last in _FUSED)


_FUSED = {"gate", "gate_proj", "up_proj", "down_proj", "w1", "w2", "w3"}


def _renamed(within: str, names: Mapping[str, str]) -> str:
    for old, new in names.items():
        if within == old or within.startswith(f"{old}."):
            return new + within.removeprefix(old)
    return within


# the same names in both, and the same logits
AGREEING = frozenset(
    "apertus cohere cohere2 ernie4_5 exaone4 gemma gemma2 gemma3_text gemma4_text glm glm4 granite helium hunyuan_v1_dense lfm2 "
    "llama mistral olmo2 olmo3 phi phi3 qwen2 qwen3 seed_oss smollm3 stablelm starcoder2".split()
)


def _mixture(
    here: str = "mlp.switch_mlp", *, there: str = "mlp.experts", router: str | None = "mlp.gate", **other: Any
) -> Naming:
    """`router`: mlx-lm's layer that chooses experts, where it has one that can be adapted."""
    parameters = frozenset() if router is None else frozenset({router})
    return Naming(experts=Experts(here=here, there=there), parameters=parameters, **other)


# what is called otherwise
NAMINGS: dict[str, Naming] = {
    "gptj": Naming(here="model.h", there="transformer.h"),
    "gpt2": Naming(here="model.h", there="transformer.h", conv1d=True),
    "gpt_neox": Naming(here="model.h", there="gpt_neox.layers"),
    "mamba": Naming(here="backbone.layers", there="backbone.layers"),
    "mamba2": Naming(here="backbone.layers", there="backbone.layers"),
    "nemotron_h": Naming(here="backbone.layers"),
    "gemma3": Naming(here="language_model.model.layers", there="model.language_model.layers"),
    "qwen3_5": Naming(here="language_model.model.layers"),
    "qwen3_5_moe": replace(_mixture(), here="language_model.model.layers"),
    "afmoe": _mixture("mlp.experts", router=None, fused_by_peft=True),
    "dots1": _mixture("mlp.experts", router=None, fused_by_peft=True),
    **{
        name: _mixture(router=None, fused_by_peft=True)
        for name in "deepseek_v2 deepseek_v3 deepseek_v32 exaone_moe glm4_moe glm4_moe_lite glm_moe_dsa solar_open".split()
    },
    **{
        name: _mixture(fused_by_peft=True)
        for name in "ernie4_5_moe mellum olmoe qwen2_moe qwen3_moe qwen3_next".split()
    },
    "mixtral": _mixture("block_sparse_moe.switch_mlp", router="block_sparse_moe.gate", renamed={"block_sparse_moe.gate": "mlp.gate"}, fused_by_peft=True),
    "phimoe": _mixture("block_sparse_moe.switch_mlp", router="block_sparse_moe.gate", renamed={"block_sparse_moe.gate": "mlp.router"}),
    "minimax_m2": _mixture("block_sparse_moe.switch_mlp", router="block_sparse_moe.gate", renamed={"block_sparse_moe.gate": "mlp.gate"}, fused_by_peft=True),
    "granitemoe": _mixture("block_sparse_moe.switch_mlp", there="block_sparse_moe.experts", router="block_sparse_moe.router.layer", renamed={"block_sparse_moe.router.layer": "block_sparse_moe.router"}),
    "granitemoehybrid": _mixture("block_sparse_moe.switch_mlp", there="block_sparse_moe.experts", router="block_sparse_moe.router.layer", renamed={"block_sparse_moe.router.layer": "block_sparse_moe.router"}),
    "jamba": _mixture("feed_forward.switch_mlp", there="feed_forward.experts", router="feed_forward.router"),
    "lfm2_moe": _mixture("feed_forward.switch_mlp", there="feed_forward.experts", router="feed_forward.gate",
       renamed={"feed_forward.gate_proj": "feed_forward.w1", "feed_forward.down_proj": "feed_forward.w2", "feed_forward.up_proj": "feed_forward.w3"}),
    "laguna": _mixture(router="mlp.gate.proj", renamed={"mlp.gate.proj": "mlp.gate", "mlp.shared_expert": "mlp.shared_experts"}),
    "gpt_oss": Naming(
        experts=Experts(here="mlp.experts", there="mlp.experts", interleaved=True), parameters=frozenset({"mlp.router"})
    ),
}

# what cannot be said in PEFT's format, and why
REFUSED: dict[str, str] = {
    "falcon_h1": "mlx-lm folds the model's multipliers into the weights that the adapter was learned on",
}


def naming_of(model_type: str) -> Naming | None:
    """None for an architecture whose names were not held against transformers'."""
    return Naming() if model_type in AGREEING else NAMINGS.get(model_type)


def checked_naming(model_type: str) -> Naming:
    """The same for what is to be written.

    Raises:
        HarnessError: with the reason, for one that is not among them.
    """
    found = naming_of(model_type)
    if found is None:
        why = REFUSED.get(model_type, "transformers has no such model that agrees with mlx-lm's")
        raise HarnessError(f"a {model_type} adapter cannot be written in PEFT's format: {why}; export it as fused")
    return found


@dataclass(frozen=True)
class Layer:
    """A layer's place: `blocks` is the name of the list of blocks, `block` the index, `within` the name in it."""

    blocks: str
    block: int
    within: str

    def __str__(self) -> str:
        return f"{self.blocks}.{self.block}.{self.within}"


_IN_BLOCK = re.compile(r"(?P<blocks>[^0-9]*?)\.(?P<block>\d+)\.(?P<within>.+)")


def layer_of(name: str) -> Layer | None:
    """A layer's place by its full name; None for one outside the blocks."""
    found = _IN_BLOCK.fullmatch(name)
    return None if found is None else Layer(found["blocks"], int(found["block"]), found["within"])
