"""From a command to what is to be prepared: the source with its settings checked, the folder, the tokenizer.

Knows models only to get a tokenizer.
"""

import dataclasses
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.config.load import from_values
from harness.config.paths import CONF, MLRUNS, ROOT
from harness.config.schema import PrepareCommand, SourceConfig
from harness.console.progress import Display
from harness.data.sources.find import find_source
from harness.data.sources.found import Tools
from harness.errors import HarnessError, SettingError
from harness.preparing.pipeline import Job

if TYPE_CHECKING:  # mlx_lm takes a second to import
    from harness.models.base import Base

_SHIPPED = ROOT / "data"


def job_of(command: PrepareCommand, display: Display, beside: Path = CONF / "source") -> Job:
    """`beside`: the folder of the sources' YAML files, and of sources of one's own.

    Raises:
        HarnessError: for a setting that breaks a rule, or a source or base that is not there.
    """
    names = {field.name for field in dataclasses.fields(SourceConfig)}
    common = _common({name: value for name, value in command.source.items() if name in names})
    own = {name: value for name, value in command.source.items() if name not in names}
    source = find_source(common.kind, own, beside)
    if common.path is None and source.needs_path:
        raise SettingError("source.path", "source.path must be a file or a folder, but got null")
    base = None if command.model.path is None else _base(command, display)
    encoder = None if base is None else base.tokenizer
    count = None if encoder is None else encoder.count
    tools = Tools(count_tokens=count, say=display.say, cache=MLRUNS / "cache", serve=_serve)
    return Job(
        command=command,
        common=common,
        source=source,
        out=_out(command, common),
        encoder=encoder,
        revision=None if base is None else base.revision,
        tools=tools,
    )


def _common(values: Mapping[str, Any]) -> SourceConfig:
    try:
        return from_values(dict(values), SourceConfig)
    except SettingError as error:
        raise SettingError(f"source.{error.name}", f"source.{error}") from error


def _out(command: PrepareCommand, common: SourceConfig) -> Path:
    """data.path, or source.out; raw files of one's own are written beside themselves when neither is given."""
    out = Path(command.data.path).expanduser()
    if common.out is not None:
        return Path(common.out).expanduser()
    if common.path is None:
        if out.is_relative_to(_SHIPPED):
            raise HarnessError(f"source={common.kind} reads no file to write beside; give data.path=…, a folder")
        return out
    path = Path(common.path).expanduser()
    if out.is_relative_to(_SHIPPED) and not path.absolute().is_relative_to(_SHIPPED):
        return path if path.is_dir() else path.parent
    return out


def _serve(model: str) -> AbstractContextManager[str]:
    from harness.models.served import served_model

    return served_model(model, setting="source.model")


def _base(command: PrepareCommand, display: Display) -> "Base":
    from harness.models.base import open_base

    return open_base(command.model, display)
