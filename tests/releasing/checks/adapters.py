"""Adapters that are good, and ones made to break a check, each with what its run would have recorded."""

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import yaml
from mlx.utils import tree_flatten

from harness.config.schema import Config, ModelConfig
from harness.console.progress import Display
from harness.data.dataset import Split, fixed_subset
from harness.models.adapter import adapter_weights, attached, save_weights, spec_for
from harness.models.adapter_files import checkpoint_name, save_spec
from harness.models.adapter_reading import read_adapter
from harness.models.base import Base, open_base
from harness.models.reading import read_split
from harness.releasing.checks.subject import Subject
from harness.tracking import run_folder
from harness.tracking.ancestry import Ancestry, TrainedOn
from harness.tracking.queries import Finished
from harness.tracking.run_state import RunState
from harness.tuning.loop import train
from tests.tuning.recorder import Recorder

Make = Callable[[Base, Config, Split, Split], None]


def trained(base: Base, config: Config, learned: Split, held_out: Split) -> None:
    """As a run trains the attached adapter."""
    train(base.model, learned, held_out, config.train, Recorder())


def noise(size: float) -> Make:
    """In the half of a fresh adapter that is zero."""

    def fill(base: Base, config: Config, learned: Split, held_out: Split) -> None:
        for place, (_, module) in enumerate(base.model.named_modules()):
            if "lora_b" in module:
                module.lora_b = mx.random.normal(module.lora_b.shape, scale=size, key=mx.random.key(place))

    return fill


def made(base: Base, config: Config, folder: Path, make: Make) -> Subject:
    """A checkpoint in a folder with its run's configuration, and a record of its rows as the store would have it."""
    learned = read_split(config, "train", base)
    held_out = fixed_subset(read_split(config, "valid", base), config.train.valid_rows)
    spec = spec_for(config.lora, base.model, base=base.path, base_revision=base.revision)
    folder.mkdir(parents=True, exist_ok=True)
    weights = folder / checkpoint_name(config.train.iters or 0)
    with attached(base.model, spec, seed=0):
        make(base, config, learned, held_out)
        save_weights(weights, adapter_weights(base.model), {"step": str(config.train.iters)})
    save_spec(folder, spec)
    (folder / run_folder.CONFIG).write_text(yaml.safe_dump(dataclasses.asdict(config)), encoding="utf-8")
    return Subject(
        base=base,
        adapter=read_adapter(weights),
        ancestry=ancestry({"train": learned.digest, "valid": held_out.digest}),
        display=Display(silent=True),
    )


def ancestry(digests: dict[str, str]) -> Ancestry:
    run = Finished(
        run_id="0" * 32, experiment_id="1", name="r", status=RunState.FINISHED, metrics={}, tags={}, params={}
    )
    splits = {name: TrainedOn(tokens=digest, file=None, sha256=None) for name, digest in digests.items()}
    return Ancestry(run=run, experiment="x", splits=splits, folder=None)


def quantized(base: Base, folder: Path) -> Base:
    """A copy of a base in 4 bits."""
    settings = base.settings | {"quantization": {"group_size": 32, "bits": 4}}
    return _copied(base, folder, settings, lambda model: nn.quantize(model, group_size=32, bits=4))


def in_16_bits(base: Base, folder: Path) -> Base:
    return _copied(base, folder, base.settings, lambda model: model.set_dtype(mx.bfloat16))


def _copied(base: Base, folder: Path, settings: dict[str, Any], change: Callable[[nn.Module], object]) -> Base:
    shutil.copytree(base.folder, folder)
    model = open_base(ModelConfig(path=str(folder), revision=None)).model
    change(model)
    mx.save_safetensors(str(folder / "model.safetensors"), dict(tree_flatten(model.parameters())), {"format": "mlx"})
    (folder / "config.json").write_text(json.dumps(settings), encoding="utf-8")
    return open_base(ModelConfig(path=str(folder), revision=None))
