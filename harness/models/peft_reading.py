"""PEFT's tensors as an adapter of mlx-lm's, by the names of one architecture.

Knows nothing of files: peft_format.py does, and how numbers are laid out is peft_tensors.py's.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import mlx.core as mx

from harness.errors import HarnessError
from harness.models.peft_config import PeftConfig
from harness.models.peft_names import Layer, Naming, layer_of
from harness.models.peft_tensors import PREFIX, Leaves, split, unfolded
from harness.models.tensors import Arrays

_TENSOR = re.compile(
    r"(?P<module>.+)\.(?:(?P<side>lora_[AB])(?:\.default)?\.weight|lora_magnitude_vector(?:\.default)?(?:\.weight)?)"
)
_ONE_EXPERT = re.compile(r"(?P<experts>.+\.experts)\.(?P<number>\d+)\.(?P<last>\w+)")
_OLDER = {"w1": "gate_proj", "w3": "up_proj", "w2": "down_proj"}  # Mixtral's names for them
_LEAF = {"lora_A": "lora_a", "lora_B": "lora_b", None: "m"}


@dataclass(frozen=True, kw_only=True)
class Read:
    """`arrays` by mlx-lm's names, all of one `rank` and `scale`; `blocks` that are adapted; `keys` within them."""

    arrays: Arrays
    rank: int
    scale: float
    blocks: list[int]
    keys: list[str]


@dataclass
class _Found:
    """Layers by mlx-lm's names, with the name by which a pattern of the configuration finds each."""

    layers: dict[str, Leaves] = field(default_factory=dict)
    named: dict[str, str] = field(default_factory=dict)

    def add(self, layer: str, leaves: Leaves, name: str) -> None:
        self.layers[layer], self.named[layer] = leaves, name


def from_peft(tensors: Arrays, config: PeftConfig, naming: Naming) -> Read:
    """An adapter from what a file of PEFT's holds.

    Raises:
        HarnessError: naming what has no place in an mlx-lm adapter of this architecture.
    """
    found = _Found()
    single: dict[tuple[int, str], dict[int, tuple[str, Leaves]]] = {}
    for module, leaves in _by_module(tensors).items():
        _check_complete(module, leaves, config)
        layer = _placed(module, naming)
        if layer is None:
            found.add(naming.head, _turned(leaves), module)
        elif (one := _ONE_EXPERT.fullmatch(layer.within)) and naming.experts:
            last = _OLDER.get(one["last"], one["last"])
            single.setdefault((layer.block, last), {})[int(one["number"])] = (module, leaves)
        elif naming.experts and layer.within.removesuffix(".base_layer") == naming.experts.there:
            _add_folded(found, module, layer, leaves, config, naming)
        else:
            parameter = f"{module}.weight"
            named = parameter if _is_target(parameter, config) else module
            found.add(f"{naming.here}.{layer.block}.{naming.here_of(layer.within)}", _turned(leaves), named)
    for (block, last), each in single.items():
        assert naming.experts is not None
        name = f"{naming.here}.{block}.{naming.experts.here}.{last}"
        found.add(name, _stacked(each), next(iter(each.values()))[0])
    return _read(found, config, naming)


def placed(arrays: Arrays, naming: Naming) -> Arrays:
    """Arrays that were read without knowing their architecture, by the names of the model that they are put on."""
    found: Arrays = {}
    for name, value in arrays.items():
        layer, _, leaf = name.rpartition(".")
        place = layer_of(layer)
        within = "" if place is None else f"{naming.here}.{place.block}.{naming.here_of(place.within)}"
        found[f"{within or naming.head}.{leaf}"] = value
    return found


def _read(found: _Found, config: PeftConfig, naming: Naming) -> Read:
    """The layers with gate and up told apart, which takes the rank of all the others."""
    fused = f".{naming.experts.here}.gate_up_proj" if naming.experts else "\0"
    ranks = {config.rank_of(found.named[name]): name for name in found.layers if not name.endswith(fused)}
    if len(ranks) > 1:
        said = ", ".join(f"{rank} at {found.named[name]}" for rank, name in sorted(ranks.items())[:3])
        raise HarnessError(f"rank_pattern must leave one rank for all layers, but gives {said}")
    rank, scale = next(iter(ranks), config.rank), config.scale(found.named.values())
    arrays: Arrays = {}
    for name, leaves in found.layers.items():
        if name.endswith(fused):
            assert naming.experts is not None
            for last, half in split(leaves, rank, interleaved=naming.experts.interleaved).items():
                _put(arrays, f"{name.removesuffix('gate_up_proj')}{last}", half)
        else:
            if leaves["lora_a"].shape[1] != rank and leaves["lora_a"].ndim == 2:
                raise HarnessError(f"r must be that of the tensors, but is {rank}, and theirs {leaves['lora_a'].shape}")
            _put(arrays, name, leaves)
    layers = [layer_of(name.rpartition(".")[0]) for name in arrays]
    blocks = sorted({layer.block for layer in layers if layer is not None})
    if not blocks:
        raise HarnessError("a PEFT adapter must have a layer in a block, but this one has none")
    head = [naming.head] if naming.head in found.layers else []
    keys = list(dict.fromkeys(layer.within for layer in layers if layer is not None))
    return Read(arrays=arrays, rank=rank, scale=scale, blocks=blocks, keys=keys + head)


def _put(arrays: Arrays, layer: str, leaves: Mapping[str, mx.array]) -> None:
    arrays |= {f"{layer}.{leaf}": value for leaf, value in leaves.items()}


def _by_module(tensors: Arrays) -> dict[str, Leaves]:
    found: dict[str, Leaves] = {}
    for name, value in sorted(tensors.items()):
        parts = _TENSOR.fullmatch(name.removeprefix(PREFIX))
        if parts is None:
            raise HarnessError(
                f"{name} has no place in an mlx-lm adapter; merge the adapter in PEFT and use the merged model"
            )
        found.setdefault(parts["module"], {})[_LEAF[parts["side"]]] = value
    return found


def _check_complete(module: str, leaves: Leaves, config: PeftConfig) -> None:
    wanted = {"lora_a", "lora_b", *(["m"] if config.dora else [])}
    if leaves.keys() != wanted:
        raise HarnessError(
            f"{module} must have {', '.join(sorted(wanted))} where use_dora is {str(config.dora).lower()}, "
            f"but has {', '.join(sorted(leaves))}; save the adapter again"
        )


def _placed(module: str, naming: Naming) -> Layer | None:
    """The layer by transformers' names; None for the head."""
    layer = layer_of(module)
    if layer is None and module == "lm_head":
        return None
    if layer is None or layer.blocks not in naming.every_there:
        raise HarnessError(
            f"{module} is not in the text model's blocks, which an mlx-lm adapter is for; "
            "merge the adapter in PEFT and use the merged model"
        )
    return layer


def _turned(leaves: Leaves) -> Leaves:
    return {name: value.T if value.ndim == 2 else value for name, value in leaves.items()}


def _is_target(parameter: str, config: PeftConfig) -> bool:
    return any(parameter == target or parameter.endswith(f".{target}") for target in config.target_parameters)


def _add_folded(found: _Found, module: str, layer: Layer, leaves: Leaves, config: PeftConfig, naming: Naming) -> None:
    """Of a parameter of experts: the one within another is gate and up, and so is one alone if it is the target."""
    assert naming.experts is not None
    container = module.removesuffix(".base_layer")
    inner = module != container or not _is_target(f"{container}.down_proj", config)
    last = "gate_up_proj" if inner else "down_proj"
    named = f"{container}.{last}"
    name = f"{naming.here}.{layer.block}.{naming.experts.here}.{last}"
    found.add(name, unfolded(leaves["lora_a"], leaves["lora_b"], config.rank_of(named)), named)


def _stacked(each: Mapping[int, tuple[str, Leaves]]) -> Leaves:
    """Experts that an older transformers had one by one. All must be there: how many there are, nothing else says."""
    if sorted(each) != list(range(len(each))):
        module = next(iter(each.values()))[0]
        raise HarnessError(f"all experts must be adapted, but beside {module} some are not; adapt all of them")
    leaves = [each[number][1] for number in range(len(each))]
    return {name: mx.stack([one[name] for one in leaves]) for name in ("lora_a", "lora_b")}
