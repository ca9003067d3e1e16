"""What a prepared folder was made of and with, so that it can be made again and a change be seen.

Its bytes depend on the source, the configuration and the versions alone, not on where the folder lies.
"""

import dataclasses
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

from harness.config.schema import PrepareCommand
from harness.files import digest_of, write_json
from harness.preparing.place import LAST

_PACKAGES = ("lora-harness", "ftfy", "charset-normalizer", "numpy", "transformers", "tokenizers")


def write_manifest(folder: Path, command: PrepareCommand, source: Path, tokenizer: str | None) -> None:
    """`source`: a file or folder, whose digests are taken where it is one. `tokenizer`: the base's revision."""
    outputs = {file.name: digest_of(file) for file in sorted(folder.iterdir()) if not file.name.startswith(".")}
    write_json(
        folder / LAST,
        {
            "configuration": _configuration(command),
            "tokenizer": tokenizer,
            "sources": _digests(source),
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


def _digests(source: Path) -> dict[str, str]:
    if source.is_file():
        return {source.name: digest_of(source)}
    files = sorted(file for file in source.rglob("*") if file.is_file()) if source.is_dir() else []
    return {file.relative_to(source).as_posix(): digest_of(file) for file in files}
