"""LoRA on a base: attach, detach, save and load, in mlx-lm's own format on disk.

Knows nothing of training or tracking: where a reference such as runs:/… leads is tracking's business.
"""

import dataclasses
import json
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten, tree_unflatten
from mlx_lm.models.switch_layers import QuantizedSwitchLinear, SwitchLinear
from mlx_lm.tuner.utils import linear_to_lora_layers

from harness.config.checks import matched_keys
from harness.config.schema import LoraConfig
from harness.errors import HarnessError
from harness.files import write_json, write_whole
from harness.models.randomness import seeded
from harness.models.weights_file import read_metadata

Weights = dict[str, mx.array]

CONFIG_FILE = "adapter_config.json"
WEIGHTS_FILE = "adapters.safetensors"
_CHECKPOINT = re.compile(r"^(\d{7})_adapters\.safetensors$")
_ADAPTABLE = (
    nn.Linear,
    nn.QuantizedLinear,
    SwitchLinear,
    QuantizedSwitchLinear,
    nn.Embedding,
    nn.QuantizedEmbedding,
)


@dataclass(frozen=True)
class AdapterSpec:
    """What adapter_config.json says: enough to attach the adapter to its base again."""

    fine_tune_type: str
    rank: int
    scale: float
    dropout: float
    num_layers: int
    keys: list[str]
    base: str | None
    base_revision: str | None

    def to_json(self) -> dict[str, Any]:
        """mlx-lm's own keys, and ours for lineage."""
        parameters = {"rank": self.rank, "scale": self.scale, "dropout": self.dropout, "keys": self.keys}
        return {
            "fine_tune_type": self.fine_tune_type,
            "num_layers": self.num_layers,
            "lora_parameters": parameters,
            "model": self.base,
            "model_revision": self.base_revision,
        }

    def scaled(self, factor: float) -> "AdapterSpec":
        return dataclasses.replace(self, scale=self.scale * factor)


@dataclass(frozen=True)
class AdapterFiles:
    """An adapter on disk: its spec and one file of weights. `source` is the reference it was found by."""

    spec: AdapterSpec
    weights: Path
    source: str

    @property
    def iteration(self) -> int | None:
        """The update that the weights were saved after, as the file itself or its name says."""
        said = read_metadata(self.weights).get("step")
        return checkpoint_step(self.weights) if said is None else int(said)


def checkpoint_name(step: int) -> str:
    return f"{step:07d}_{WEIGHTS_FILE}"


def checkpoint_step(path: Path) -> int | None:
    """The step in the name of a checkpoint, or of what a link to one leads to."""
    match = _CHECKPOINT.match(path.resolve().name)
    return int(match[1]) if match else None


def spec_for(lora: LoraConfig, model: nn.Module, *, base: str, base_revision: str) -> AdapterSpec:
    """The spec that a configuration means on this model, with keys as full names within a block.

    Raises:
        HarnessError: for a key that matches nothing.
    """
    names = _adaptable_names(model)
    keys = names if lora.keys is None else matched_keys(lora.keys, names)
    assert lora.scale is not None, "config.load fills in the scale"
    num_layers = len(model.layers) if lora.num_layers == -1 else lora.num_layers
    return AdapterSpec(lora.fine_tune_type, lora.rank, lora.scale, lora.dropout, num_layers, keys, base, base_revision)


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
        yield


@contextmanager
def switching(model: nn.Module) -> Iterator[Callable[[AdapterFiles | None, float], None]]:
    """Gives a function that puts an adapter on `model`, at times its scale, in place of the one before; None: none.

    Where rank, keys, blocks and scale are the same, only weights are replaced.

    Raises:
        HarnessError: when an adapter does not fit this base.
    """
    with ExitStack() as worn:
        present: AdapterSpec | None = None
        names = _adaptable_names(model)

        def put_on(adapter: AdapterFiles | None, scale: float = 1.0) -> None:
            nonlocal present
            spec = None if adapter is None else _alone(with_all_keys(adapter.spec, model, names).scaled(scale))
            if spec != present:
                worn.close()
                present = None
                if spec is not None:
                    worn.enter_context(attached(model, spec, seed=0))
                present = spec
            if adapter is not None:
                load_weights(model, adapter.weights)

        yield put_on


def _alone(spec: AdapterSpec) -> AdapterSpec:
    """What shapes the modules, without where it comes from."""
    return dataclasses.replace(spec, base=None, base_revision=None, dropout=0.0)


def check_fits(adapter: AdapterFiles, spec: AdapterSpec, model: nn.Module) -> list[str]:
    """Whether training can start from an adapter; returns warnings.

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
    if theirs.base_revision not in (None, spec.base_revision):
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
    """One safetensors file, whole or not at all. The metadata says what the weights are."""
    write_whole(path, lambda file: mx.save_safetensors(str(file), weights, {"format": "mlx", **metadata}))


def save_spec(folder: Path, spec: AdapterSpec) -> None:
    write_json(folder / CONFIG_FILE, spec.to_json())


def load_weights(model: nn.Module, path: Path) -> None:
    """Replace the weights of the attached adapter.

    Raises:
        HarnessError: when the file is damaged, or belongs to another adapter, with both shapes.
    """
    try:
        weights = mx.load(str(path))
    except (RuntimeError, ValueError, FileNotFoundError) as error:
        raise HarnessError(f"{path} is not a readable safetensors file: {error}") from error
    assert isinstance(weights, dict)
    expected = adapter_weights(model)
    for name in sorted(expected.keys() | weights.keys()):
        there = tuple(weights[name].shape) if name in weights else "nothing"
        here = tuple(expected[name].shape) if name in expected else "nothing"
        if there != here:
            raise HarnessError(f"{path} does not fit: {name} is {there} in the file, but {here} in this adapter")
    model.load_weights(list(weights.items()), strict=False)
    mx.eval(model.trainable_parameters())


def read_adapter(path: Path, source: str | None = None) -> AdapterFiles:
    """An adapter's folder (its adapters.safetensors) or one checkpoint file in such a folder.

    Raises:
        HarnessError: when a part is missing or unreadable.
    """
    weights = path / WEIGHTS_FILE if path.is_dir() else path
    if not weights.exists():
        raise HarnessError(
            f"adapter {source or path} must be a folder with {WEIGHTS_FILE}, a checkpoint file, "
            "runs:/<id> or models:/name@alias, but there is no such file"
        )
    config = weights.parent / CONFIG_FILE
    if not config.exists():
        raise HarnessError(f"{CONFIG_FILE} must lie beside {weights.name}, but {weights.parent} has none")
    read_metadata(weights)  # it must be whole
    return AdapterFiles(_read_spec(config), weights, source or str(path))


def numbered_checkpoints(
    folder: Path, source: str, *, from_iteration: int | None, first: int | None
) -> list[AdapterFiles]:
    """A folder's checkpoints such as 0001600_adapters.safetensors, from an update on, the first so many of them.

    Raises:
        HarnessError: when there is none.
    """
    steps = {
        step: path
        for path in sorted(folder.glob("*.safetensors"))
        if not path.is_symlink() and (step := checkpoint_step(path)) is not None
    }
    chosen = [path for step, path in sorted(steps.items()) if step >= (from_iteration or 0)][:first]
    if not chosen:
        there = ", ".join(map(str, sorted(steps))) or "none at all"
        said = "" if from_iteration is None else f" from update {from_iteration} on"
        raise HarnessError(f"{source} has no checkpoint{said}; it has {there}")
    return [read_adapter(path, f"{source}/{path.name}") for path in chosen]


def _read_spec(path: Path) -> AdapterSpec:
    try:
        content = json.loads(path.read_text("utf-8"))
        parameters = content["lora_parameters"]
        return AdapterSpec(
            content.get("fine_tune_type", "lora"),
            int(parameters["rank"]),
            float(parameters["scale"]),
            float(parameters.get("dropout", 0.0)),
            int(content["num_layers"]),
            list(parameters.get("keys") or []),
            content.get("model"),
            content.get("model_revision"),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise HarnessError(f"{path} is not an adapter's configuration: {error!r}") from error


def with_all_keys(spec: AdapterSpec, model: nn.Module, names: list[str] | None = None) -> AdapterSpec:
    """mlx-lm writes no keys for "every linear layer", and -1 for "every block": spelled out here.

    `names`: of the bare model's layers, where adapters may be on it.
    """
    num_layers = spec.num_layers if 0 < spec.num_layers <= len(model.layers) else len(model.layers)
    keys = spec.keys or (_adaptable_names(model) if names is None else names)
    return dataclasses.replace(spec, keys=keys, num_layers=num_layers)


def _adaptable_names(model: nn.Module) -> list[str]:
    """Names, within a block, of the layers that LoRA can go on, in the order of the blocks."""
    names: dict[str, None] = {}
    for block in model.layers:
        found = [
            name
            for name, module in block.named_modules()
            if isinstance(module, _ADAPTABLE) or hasattr(module, "to_lora")
        ]
        names |= dict.fromkeys(reversed(found))
    return list(names)
