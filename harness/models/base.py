"""The frozen base: found on disk or the hub, its weights read only when they are used.

Knows nothing of adapters.
"""

import json
import re
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten
from mlx_lm.utils import DEFAULT_ALLOW_PATTERNS, load_config, load_model, load_tokenizer

from harness.config.schema import ModelConfig
from harness.console.progress import Display
from harness.errors import HarnessError, reason
from harness.models import builtin
from harness.models.digests import Tell
from harness.models.revision import folder_revision, snapshot_revision
from harness.models.sizes import sizes_of
from harness.models.tokenizer import Tokenizer
from harness.models.weights_file import read_metadata

_AGAIN = "download or convert the model again"


@dataclass(frozen=True)
class Base:
    """`path` that finds it again, the folder it means, and a revision that names its exact content.

    `former_revision`: what the version before called it, by a part of its bytes; None where that is the same.
    `changed`: files of a hub's snapshot that are not the hub's. `template_args`: what its chat template is given.
    """

    path: str
    folder: Path
    revision: str
    former_revision: str | None = None
    changed: tuple[str, ...] = ()
    template_args: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @cached_property
    def warnings(self) -> list[str]:
        """What to know of it before a run begins."""
        said = self.tokenizer.notes
        if self.changed:
            said = [
                f"{', '.join(self.changed)} of {self.path} are not what the hub has at {self.folder.name}: this is "
                f"another base, {self.revision}; to have the hub's, remove {self.folder} and run again",
                *said,
            ]
        return said

    @cached_property
    def settings(self) -> dict[str, Any]:
        """The model's own config.json."""
        try:
            return dict(json.loads((self.folder / "config.json").read_text("utf-8")))
        except (OSError, ValueError) as error:
            raise HarnessError(f"config.json of {self.path} cannot be read: {error}; {_AGAIN}") from error

    @property
    def num_blocks(self) -> int:
        return len(self.model.layers)

    @property
    def vocabulary(self) -> int:
        """Tokens that the weights know; a tokenizer may have fewer."""
        return sizes_of(self.model, self.settings).vocabulary

    @property
    def caveat(self) -> str:
        """What to say before texts of this base are shown; empty where there is nothing to say."""
        if self.path != builtin.TINY:
            return ""
        return f"{builtin.TINY} has random weights: these texts show that everything runs, not what a model writes"

    @cached_property
    def tokenizer(self) -> Tokenizer:
        try:
            loaded = load_tokenizer(self.folder, eos_token_ids=self._end_ids())
        except Exception as error:  # transformers, tokenizers and jinja2 share no base class
            raise HarnessError(f"the tokenizer of {self.path} cannot be loaded: {reason(error)}; {_AGAIN}") from error
        return Tokenizer(loaded, self.path, self.template_args)

    @cached_property
    def model(self) -> nn.Module:
        """Frozen and in evaluation mode. Lazy: a weight is read from disk when it is first computed with."""
        for file in sorted(self.folder.glob("model*.safetensors")):
            read_metadata(file)  # each must be whole: what is cut off would only be missed when it is read
        try:
            model, _ = load_model(self.folder, lazy=True)
        except (Exception, SystemExit) as error:  # an architecture's own code: one of them exits without its package
            raise HarnessError(f"{self.path} cannot be loaded by mlx-lm: {reason(error)}") from error
        model.freeze()
        model.eval()
        return model

    def materialize(self, blocks_from: int = 0) -> None:
        """Read all weights now, or those of the last blocks, so that reading is not counted as training."""
        model = self.model
        mx.eval(
            model.parameters() if blocks_from == 0 else [block.parameters() for block in model.layers[blocks_from:]]
        )

    def let_go(self) -> None:
        """Give back the memory of all weights; what is next computed with is read again. Nothing may be attached."""
        self.__dict__.pop("model", None)

    def releaser(self) -> Callable[[int], None]:
        """A function that gives back the memory of a block, or with -1 of what is outside the blocks.

        The weights are read again when they are next computed with. Adapters there would lose their place.
        """
        fresh, _ = load_model(self.folder, lazy=True)
        parts: dict[int, list[tuple[str, mx.array]]] = {}
        for name, value in tree_flatten(fresh.parameters()):
            parts.setdefault(_block(name), []).append((name, value))
        return lambda block: self.model.load_weights(parts.get(block, []), strict=False)

    def _end_ids(self) -> Any:
        """End tokens as mlx-lm resolves them: generation_config.json overrides config.json."""
        return load_config(self.folder).get("eos_token_id")


def _block(name: str) -> int:
    """The block that a weight belongs to, by its name; -1 for one outside the blocks."""
    found = re.search(r"\blayers\.(\d+)\.", name)
    return int(found[1]) if found else -1


def open_base(config: ModelConfig, display: Display | None = None, *, setting: str = "model.path") -> Base:
    """Find the base; download it if it is a hub name that is not here yet.

    Its files are read whole when they are new or were changed: `display` shows that where it takes long. `setting`:
    what the path is called where it was given.

    Raises:
        HarnessError: when there is no such base, or it may not be read, with what to do.
    """
    return replace(_found(config, display, setting), template_args=config.template_args or {})


def _found(config: ModelConfig, display: Display | None, setting: str) -> Base:
    path = config.path
    if path is None:
        raise HarnessError(f"{setting} must name a base model, but got null; try {setting}=<folder or hub name>")
    local = Path(path).expanduser()
    if config.revision is not None and (path in builtin.NAMES or local.is_dir()):
        raise HarnessError(
            f"model.revision={config.revision} is for models of the hub, but model.path is {path}; set null"
        )
    if path in builtin.NAMES:
        return _of_folder(path, builtin.folder(path), display)
    if local.is_dir():
        if not (local / "config.json").exists() or not list(local.glob("model*.safetensors")):
            raise HarnessError(
                f"{setting}={path} must hold config.json and model*.safetensors, but it does not; "
                "make such a folder with mlx_lm.convert"
            )
        # absolute, so that an adapter's record of its base holds in any working directory
        return _of_folder(str(local.resolve()), local.resolve(), display)
    if path.startswith(("/", "./", "../", "~", "builtin:")) or path.count("/") != 1:
        raise HarnessError(
            f"{setting}={path} must be {', '.join(builtin.NAMES)}, a folder or a hub name such as "
            "mlx-community/Qwen2.5-7B-Instruct-4bit, but no such folder is there"
        )
    folder = _download(path, config.revision, setting)
    with _reading(path, display) as tell:
        revision = snapshot_revision(folder, tell)
    return Base(path, folder, revision.name, changed=revision.changed)


def _of_folder(path: str, folder: Path, display: Display | None) -> Base:
    with _reading(path, display) as tell:
        revision = folder_revision(folder, tell)
    return Base(path, folder, revision.name, former_revision=revision.former)


def _reading(path: str, display: Display | None) -> AbstractContextManager[Tell]:
    return (display or Display()).computing(f"the checksums of all files of {path}, once")


def _download(name: str, revision: str | None, setting: str) -> Path:
    """The snapshot's folder, which is named by its commit."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=DEFAULT_ALLOW_PATTERNS))
    except GatedRepoError as error:
        raise HarnessError(
            f"{name} is gated: accept its licence on its hub page, then run `hf auth login` on this machine"
        ) from error
    except RepositoryNotFoundError as error:
        raise HarnessError(
            f"{name} is not on the hub, or is private: check {setting}, or run `hf auth login` if it is yours"
        ) from error
    except RevisionNotFoundError as error:
        raise HarnessError(f"{name} has no revision {revision}; set model.revision to null or to one it has") from error
    except (LocalEntryNotFoundError, OSError) as error:
        raise HarnessError(
            f"{name} is not on this machine and the hub cannot be reached: connect and try again, "
            f"or set {setting} to a local folder"
        ) from error
