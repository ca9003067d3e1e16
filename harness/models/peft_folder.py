"""A folder of PEFT's read as an adapter of mlx-lm's: converted once, and kept among what can be made again.

Knows nothing of what the files say: that is peft_format.py's.
"""

import hashlib
import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mlx.core as mx

from harness.config.paths import MLRUNS
from harness.errors import DamagedError, HarnessError
from harness.files.once import made_once
from harness.models import adapter_files, builtin
from harness.models.digests import digests
from harness.models.peft_architectures import checked_naming
from harness.models.peft_config import CONFIG_FILE, PeftConfig, read_peft_config
from harness.models.peft_format import WEIGHTS_FILE, Converted, Known, converted, kept_of_base
from harness.models.peft_names import Naming
from harness.models.sizes import num_blocks_stated
from harness.models.tensors import load_arrays, save_arrays
from harness.models.weights_file import read_metadata

_PICKLED = "adapter_model.bin"
_UNKNOWN = f"base_model_name_or_path in {CONFIG_FILE} may name a folder with the model's config.json"
_VERSION = 1  # of the conversion: another one converts again


def read_peft(folder: Path, source: str, *, cache: Path = MLRUNS / "cache" / "peft") -> adapter_files.AdapterFiles:
    """The adapter in a folder that PEFT, or write_peft, wrote.

    Raises:
        HarnessError: naming what is missing, or has no place in an mlx-lm adapter.
        DamagedError: when its file is not what was written.
    """
    weights = folder / WEIGHTS_FILE
    if not weights.exists():
        raise _no_weights(folder)
    known = Known(model_type="", num_blocks=None, naming=Naming())
    try:
        config = read_peft_config(folder / CONFIG_FILE)
        known = _known(read_metadata(weights), config) or known
        kept = made_once(
            cache / _name(folder, known), lambda made: _write(made, converted(*load_arrays(weights), config, known))
        )
    except DamagedError:
        raise
    except HarnessError as error:
        hint = "" if known.model_type else f" (what it is for is not known here: {_UNKNOWN})"
        raise HarnessError(f"adapter {source} cannot be read: {error}{hint}") from error
    return adapter_files.read_mlx_adapter(kept, source)


def _no_weights(folder: Path) -> HarnessError:
    if (folder / _PICKLED).exists():
        return HarnessError(
            f"{folder} has its weights as a pickle, which is not opened here because it can run anything; where torch "
            f"is installed: cd {shlex.quote(str(folder))} && "
            'python -c "import torch, safetensors.torch as s; s.save_file('
            f"torch.load('{_PICKLED}', map_location='cpu', weights_only=True), '{WEIGHTS_FILE}')\""
        )
    return HarnessError(f"{folder} must hold {WEIGHTS_FILE} beside PEFT's {CONFIG_FILE}, but has none; copy it again")


def _known(metadata: dict[str, str], config: PeftConfig) -> Known | None:
    """Of the base by the file's own word, or by its config.json; None without either: names are taken as they stand."""
    found: tuple[str, int | None] | None = kept_of_base(metadata)
    if found is None and (settings := _settings(config.base)) is not None:
        found = str(settings.get("model_type")), num_blocks_stated(settings)
    if found is None:
        return None
    return Known(model_type=found[0], num_blocks=found[1], naming=checked_naming(found[0]))


def _settings(base: str | None) -> Mapping[str, Any] | None:
    """The base's config.json, of a folder or from the hub's cache. Nothing is fetched: perhaps it is not wanted."""
    if base is None:
        return None
    if base in builtin.NAMES:
        path = builtin.folder(base) / "config.json"
    elif (local := Path(base).expanduser()).is_dir():
        path = local / "config.json"
    else:
        from huggingface_hub import try_to_load_from_cache

        try:
            found = try_to_load_from_cache(base, "config.json")
        except ValueError:  # no name of the hub
            return None
        if not isinstance(found, str):
            return None
        path = Path(found)
    try:
        return dict(json.loads(path.read_text("utf-8")))
    except (OSError, ValueError):
        return None


def _name(folder: Path, known: Known) -> str:
    """Changes with anything that the conversion is made from."""
    files = [folder / CONFIG_FILE, folder / WEIGHTS_FILE]
    found = digests(files)
    parts = [_VERSION, *(found[file] for file in files), known.model_type, known.num_blocks]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def _write(folder: Path, adapter: Converted) -> None:
    mx.eval(adapter.arrays)
    save_arrays(folder / adapter_files.WEIGHTS_FILE, adapter.arrays, adapter.metadata)
    adapter_files.save_spec(folder, adapter.spec)
