"""LoRA on a base in memory: attach, detach, load, save.

Knows nothing of training or tracking, nor how an adapter lies on disk (adapter_files.py).
"""

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten, tree_unflatten
from mlx_lm.tuner.utils import linear_to_lora_layers

from harness.config.checks import matched_keys
from harness.config.schema import LoraConfig
from harness.errors import DamagedError, HarnessError
from harness.models.adaptable import adaptable_names, bearing_names, expert_names
from harness.models.adapter_files import AdapterFiles, AdapterSpec
from harness.models.peft_architectures import checked_naming
from harness.models.peft_reading import placed
from harness.models.randomness import seeded
from harness.models.tensors import Arrays, load_arrays, save_arrays

Weights = Arrays


def spec_for(lora: LoraConfig, model: nn.Module, *, base: str, base_revision: str) -> AdapterSpec:
    """The spec that a configuration means on this model, with keys as full names within a block.

    Raises:
        HarnessError: for a key that matches nothing, a model that LoRA cannot be put on, or DoRA on experts.
    """
    names = bearing_names(model)
    keys = names if lora.keys is None else matched_keys(lora.keys, names)
    if lora.fine_tune_type == "dora" and (experts := [key for key in keys if key in expert_names(model)]):
        raise HarnessError(
            f"DoRA does not go on layers of experts ({', '.join(experts)}); set lora.fine_tune_type=lora, "
            "or lora.keys to layers such as q_proj"
        )
    assert lora.scale is not None, "config.load fills in the scale"
    num_layers = len(model.layers) if lora.num_layers == -1 else lora.num_layers
    return AdapterSpec(
        fine_tune_type=lora.fine_tune_type,
        rank=lora.rank,
        scale=lora.scale,
        dropout=lora.dropout,
        num_layers=num_layers,
        keys=keys,
        base=base,
        base_revision=base_revision,
    )


def unevenly_adapted(lora: LoraConfig, spec: AdapterSpec, model: nn.Module) -> list[str]:
    """A line for each key of lora.keys that only some of the adapted blocks have, as those with attention in a hybrid
    model."""
    blocks = [{name for name, _ in block.named_modules()} for block in model.layers[-spec.num_layers :]]
    lines = []
    for key in lora.keys or ():
        layers = {name for name in spec.keys if name == key or name.endswith(f".{key}")}
        having = sum(not layers.isdisjoint(block) for block in blocks)
        if 0 < having < len(blocks):
            lines.append(
                f"{key} of lora.keys is in {having} of the {len(blocks)} adapted blocks: the others learn without it; "
                "lora.keys=null adapts every linear layer"
            )
    return lines


@contextmanager
def attached(model: nn.Module, spec: AdapterSpec, *, seed: int) -> Iterator[None]:
    """LoRA layers with fresh weights on `model` inside; exactly the former modules after.

    mlx-lm's remove_lora_layers forgets DoRA, so the modules that are replaced are remembered here.
    """
    parents = [model, *model.layers[-spec.num_layers :]]  # keys such as lm_head are names within the model
    former = [(parent, [(k, m) for k, m in parent.named_modules() if k in spec.keys]) for parent in parents]
    parameters = {"rank": spec.rank, "scale": spec.scale, "dropout": spec.dropout, "keys": spec.keys}
    try:
        with seeded(seed):
            linear_to_lora_layers(model, spec.num_layers, parameters, use_dora=spec.fine_tune_type == "dora")
            mx.eval(model.trainable_parameters())
        yield
    finally:
        for parent, modules in former:
            parent.update_modules(tree_unflatten(modules))
        model.eval()


@contextmanager
def loaded(model: nn.Module, adapter: AdapterFiles, *, scale: float = 1.0) -> Iterator[None]:
    """An adapter from disk on `model` inside, at `scale` times the scale that it was trained with.

    Raises:
        HarnessError: when it does not fit this base.
    """
    spec = with_all_keys(adapter.spec, model).scaled(scale)
    with attached(model, spec, seed=0):
        load_weights(model, adapter.weights)
        model.eval()  # new modules drop out
        yield


def adapter_modules(model: nn.Module, adapter: AdapterFiles, *, scale: float, names: list[str]) -> dict[str, nn.Module]:
    """The modules that an adapter from disk would put in place of the model's, by their names in it; none is put on.

    `names`: of the bare model's layers (adaptable.adaptable_names).

    Raises:
        HarnessError: when it does not fit this base.
    """
    former = dict(model.named_modules())
    whole = dataclasses.replace(adapter, spec=with_all_keys(adapter.spec, model, names))
    with loaded(model, whole, scale=scale):
        found = dict(model.named_modules())
    return {name: module for name, module in found.items() if former.get(name, module) is not module}


def check_fits(
    adapter: AdapterFiles, spec: AdapterSpec, model: nn.Module, *, former_revision: str | None = None
) -> list[str]:
    """Whether training can start from an adapter; returns warnings.

    `former_revision`: what an earlier version called the base of `spec`.

    Raises:
        HarnessError: naming the first thing that differs, with both values.
    """
    theirs = with_all_keys(adapter.spec, model)
    for name, config in (
        ("fine_tune_type", "lora.fine_tune_type"),
        ("rank", "lora.rank"),
        ("num_layers", "lora.num_layers"),
    ):
        there, here = getattr(theirs, name), getattr(spec, name)
        if there != here:
            raise HarnessError(
                f"train.init_adapter={adapter.source} has {config}={there}, but this run {here}; make them the same"
            )
    if set(theirs.keys) != set(spec.keys):
        raise HarnessError(
            f"train.init_adapter={adapter.source} has lora.keys=[{','.join(theirs.keys)}], "
            f"but this run [{','.join(spec.keys)}]; make them the same"
        )
    if theirs.base_revision not in (None, spec.base_revision, former_revision):
        raise HarnessError(
            f"train.init_adapter={adapter.source} was trained on {theirs.base} at {theirs.base_revision}, "
            f"but this run's base is {spec.base} at {spec.base_revision}; choose the same base"
        )
    if theirs.scale == spec.scale:
        return []
    return [f"{adapter.source} was trained at scale {theirs.scale:g} and now starts at lora.scale={spec.scale:g}"]


def adapter_weights(model: nn.Module) -> Weights:
    return dict(tree_flatten(model.trainable_parameters()))


def equal_weights(one: Weights, other: Weights) -> bool:
    """Whether they are the same to the bit."""
    return one.keys() == other.keys() and all(mx.array_equal(one[key], other[key]).item() for key in one)


def save_weights(path: Path, weights: Weights, metadata: dict[str, str]) -> None:
    """One sealed safetensors file, whole or not at all. The metadata say what the weights are."""
    save_arrays(path, weights, {"format": "mlx", **metadata})


def load_weights(model: nn.Module, path: Path) -> None:
    """Replace the weights of the adapter that was just attached.

    Raises:
        DamagedError: when the file is not what was written.
        HarnessError: when it belongs to another adapter, with both shapes.
    """
    try:
        weights, metadata = load_arrays(path)
    except DamagedError as error:
        raise DamagedError(path, error.why, "copy or download it again, or take another checkpoint") from error
    expected = adapter_weights(model)
    if metadata.get("layers") == "peft":
        weights = _with_absent(model, expected, weights, metadata["architecture"])
    for name in sorted(expected.keys() | weights.keys()):
        there = tuple(weights[name].shape) if name in weights else "nothing"
        here = tuple(expected[name].shape) if name in expected else "nothing"
        if there != here:
            raise HarnessError(f"{path} does not fit: {name} is {there} in the file, but {here} in this adapter")
    wide = [(name, value.astype(expected[name].dtype)) for name, value in weights.items()]  # PEFT may have bfloat16
    model.load_weights(wide, strict=False)
    mx.eval(model.trainable_parameters())


def _with_absent(model: nn.Module, fresh: Weights, weights: Weights, architecture: str) -> Weights:
    """An adapter of PEFT's that is not on all layers which mlx-lm attaches: there it is `fresh`, which changes nothing.

    `architecture`: whose names it has; empty where nothing told it.
    """
    found = dict(weights) if architecture else placed(weights, checked_naming(str(model.model_type)))
    there = {name.rpartition(".")[0] for name in found}
    return found | {name: value for name, value in fresh.items() if name.rpartition(".")[0] not in there}


def with_all_keys(spec: AdapterSpec, model: nn.Module, names: list[str] | None = None) -> AdapterSpec:
    """mlx-lm writes no keys for "every linear layer", and -1 for "every block": spelled out here.

    `names`: of the bare model's layers, where adapters may be on it.
    """
    num_layers = spec.num_layers if 0 < spec.num_layers <= len(model.layers) else len(model.layers)
    keys = spec.keys or (adaptable_names(model) if names is None else names)
    return dataclasses.replace(spec, keys=keys, num_layers=num_layers)
