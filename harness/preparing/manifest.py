"""What a prepared folder was made of and with, so that it can be made again and a change be seen.

Its bytes depend on the source, the configuration and the versions alone, not on where the folder lies.
"""

import dataclasses
import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from harness.config.schema import PrepareCommand
from harness.files import digest_of, write_json
from harness.preparing.place import LAST

_PACKAGES = ("lora-harness", "ftfy", "charset-normalizer", "numpy", "transformers", "tokenizers")


def write_manifest(folder: Path, command: PrepareCommand, *, sources: Mapping[str, str], tokenizer: str | None) -> None:
    """`sources`: the digest of each thing that was read. `tokenizer`: the base's revision."""
    outputs = {file.name: digest_of(file) for file in sorted(folder.iterdir()) if not file.name.startswith(".")}
    write_json(
        folder / LAST,
        {
            "configuration": _configuration(command),
            "tokenizer": tokenizer,
            "sources": dict(sources),
            "outputs": outputs,
            "versions": {"python": platform.python_version(), **{name: version(name) for name in _PACKAGES}},
        },
    )


def _configuration(command: PrepareCommand) -> dict[str, Any]:
    values = dataclasses.asdict(command)
    for name in ("replace", "show", "tracking"):
        del values[name]
    values["data"].pop("path")
    return values | {"source": {name: value for name, value in command.source.items() if name != "out"}}
