"""The source that a YAML names: one of these modules, or a Python file beside the YAML."""

import dataclasses
import importlib
import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from harness.config.hints import did_you_mean
from harness.config.load import from_values
from harness.config.paths import CONF
from harness.config.schema import SourceConfig
from harness.data.sources.digests import digests_of
from harness.data.sources.found import Found, Rejected, Tools
from harness.errors import HarnessError, SettingError

_NO_SOURCES = ("__init__", "find", "found", "files", "digests")


@dataclass(frozen=True)
class Source:
    """A source with its settings checked."""

    module: ModuleType
    settings: Any

    @property
    def needs_path(self) -> bool:
        """Unless the module says that it is PATH_OPTIONAL."""
        return not getattr(self.module, "PATH_OPTIONAL", False)

    def rows(self, path: Path | None, tools: Tools) -> Iterator[Found | Rejected]:
        yield from self.module.rows(path, self.settings, tools)

    def digests(self, path: Path | None) -> dict[str, str]:
        """Of all that is read, by name: what the module says, else that of the file or folder."""
        if (of := getattr(self.module, "digests", None)) is not None:
            found: dict[str, str] = of(path, self.settings)
            return found
        return {} if path is None else digests_of(path)


def find_source(kind: str, values: Mapping[str, Any], beside: Path = CONF / "source") -> Source:
    """`values`: what is set besides the settings of every source; `beside`: the folder of the YAML files.

    Raises:
        SettingError: for a kind that is not there, or a setting that breaks a rule.
    """
    module = _module(kind, beside)
    if not callable(getattr(module, "rows", None)) or not dataclasses.is_dataclass(getattr(module, "Settings", None)):
        raise HarnessError(f"the source {kind} must have rows and a dataclass Settings; add them to {module.__file__}")
    _check_names(kind, values, [field.name for field in dataclasses.fields(module.Settings)])
    try:
        return Source(module, from_values(dict(values), module.Settings))
    except SettingError as error:
        raise SettingError(f"source.{error.name}", f"source.{error}") from error


def _check_names(kind: str, values: Mapping[str, Any], own: Sequence[str]) -> None:
    """A plain dataclass would pass over what it does not know."""
    known = [*own, *(field.name for field in dataclasses.fields(SourceConfig))]
    for name in (name for name in values if name not in known):
        rule = f"source.{name} is not a setting of {kind}{did_you_mean(name, known)}; --cfg job lists them all"
        raise SettingError(f"source.{name}", rule)


def _module(kind: str, beside: Path) -> ModuleType:
    own = beside / f"{kind}.py"
    if kind.isidentifier() and own.exists():
        return _loaded(kind, own)
    known = sorted(
        {file.stem for folder in (Path(__file__).parent, beside) for file in folder.glob("*.py")} - {*_NO_SOURCES}
    )
    if kind not in known:
        hint = did_you_mean(kind, known)
        raise SettingError("source.kind", f"source.kind must be one of {', '.join(known)}, but got {kind!r}{hint}")
    return importlib.import_module(f"harness.data.sources.{kind}")


def _loaded(kind: str, file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"harness_source_{kind}", file)
    assert spec is not None and spec.loader is not None, "it is a Python file"
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
