"""Where a layer of an mlx-lm model is in transformers' model of the same weights.

Which architectures differ how is said in peft_architectures.py. Knows nothing of files.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field


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

    `with_images`: the blocks' name in transformers' class that has the model's other parts too, where its text alone is
    a class of its own. `without`: layers, by the end of their names, that peft does not adapt. `parameters`: layers
    that are bare weights in transformers, as what chooses experts is. `conv1d`: its weights lie transposed, as GPT-2's
    do. `fused_by_peft`: peft takes gate_proj and up_proj in target_modules for experts of an older transformers, so
    that there they are named as parameters.
    """

    here: str = "model.layers"
    there: str = "model.layers"
    with_images: str | None = None
    renamed: Mapping[str, str] = field(default_factory=dict)
    parameters: frozenset[str] = frozenset()
    experts: Experts | None = None
    without: frozenset[str] = frozenset()
    conv1d: bool = False
    fused_by_peft: bool = False

    @property
    def head(self) -> str:
        """mlx-lm's name of the head, which transformers calls lm_head everywhere."""
        return f"{self.here.rpartition('model.')[0]}lm_head"

    @property
    def every_there(self) -> set[str]:
        """The blocks' names by all of transformers' classes that hold them, a text model alone or within another."""
        return {self.there, *(_WRAPPED if self.there in _WRAPPED else ())}

    def there_of(self, within: str) -> str:
        return _renamed(within, self.renamed)

    def here_of(self, within: str) -> str:
        return _renamed(within, {there: here for here, there in self.renamed.items()})

    def can_be(self, within: str, fine_tune_type: str) -> bool:
        """Whether peft adapts a layer, by mlx-lm's name in a block, as LoRA or DoRA."""
        if within.rpartition(".")[2] in self.without:
            return False
        of_experts = self.experts is not None and within.startswith(f"{self.experts.here}.")
        return fine_tune_type == "lora" or not (of_experts or self.is_parameter(within))

    def is_parameter(self, within: str) -> bool:
        """`within`: mlx-lm's name in a block."""
        last = self.there_of(within).rpartition(".")[2]
        return within in self.parameters or (self.fused_by_peft and last in _FUSED)


_WRAPPED = ("model.layers", "model.language_model.layers", "language_model.model.layers")
_FUSED = {"gate", "gate_proj", "up_proj", "down_proj", "w1", "w2", "w3"}


def _renamed(within: str, names: Mapping[str, str]) -> str:
    for old, new in names.items():
        if within == old or within.startswith(f"{old}."):
            return new + within.removeprefix(old)
    return within


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
