"""An adapter in mlx-lm's own format, without what only this machine knows. Does not know what reads it."""

import dataclasses
import shutil
from pathlib import Path

import mlx.nn as nn

from harness.models.adapter import save_weights, with_all_keys
from harness.models.adapter_files import WEIGHTS_FILE, AdapterFiles, save_spec
from harness.models.tensors import load_arrays
from harness.models.weights_file import read_metadata

_PLACES = ("base", "init_adapter")  # of the metadata, may be paths


def write_plain(adapter: AdapterFiles, folder: Path, model: nn.Module, *, base: str | None) -> None:
    """The weights as they are, to the bit. `model`: the bare base, whose layers are spelled out where the adapter is on
    all of them; `base`: a name of it that holds anywhere, or None.

    Raises:
        DamagedError: when the file is not what was written.
    """
    weights, metadata = load_arrays(adapter.weights)
    target = folder / WEIGHTS_FILE
    if any(Path(metadata.get(place, "")).is_absolute() for place in _PLACES):
        save_weights(target, weights, {name: said for name, said in metadata.items() if not Path(said).is_absolute()})
    else:
        shutil.copyfile(adapter.weights, target)
        read_metadata(target)
    save_spec(folder, dataclasses.replace(with_all_keys(adapter.spec, model), base=base))
