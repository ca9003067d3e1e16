"""Where the Python files and stubs of installed packages lie, found without running any of them.

Knows import paths and what distributions say of themselves; nothing of what stands in the files.
"""

import importlib.metadata
import importlib.util
import platform
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

from harness.config.hints import did_you_mean
from harness.errors import SettingError

STDLIB = "stdlib"  # the standard library's modules together
_SUFFIXES = (".py", ".pyi")


@dataclass(frozen=True)
class ModuleFile:
    """`module`: dotted; `shown`: the path from the package on, the same on every machine."""

    module: str
    path: Path
    shown: str

    @property
    def is_package(self) -> bool:
        return self.path.stem == "__init__"


@dataclass(frozen=True)
class Package:
    """`name`: as asked for, or of a module of the standard library; `files`: in order, a module's stub after it."""

    name: str
    version: str
    files: list[ModuleFile]


def find_packages(name: str, skip: Sequence[str], beside: Path | None = None) -> list[Package]:
    """The package, subpackage or module of that name; several for a distribution of several, or the standard library.

    `skip`: patterns of parts of module names that are left out; `beside`: a folder that is looked in first.

    Raises:
        SettingError: for one that is not there, or has nothing to read.
    """
    if name == STDLIB:
        public = sorted(each for each in sys.stdlib_module_names if not each.startswith("_"))
        found = [_package(each, skip, None) for each in public]
        return [package for package in found if package is not None and package.files]
    names = [name] if _spec(name.partition(".")[0], beside) is not None else _modules_of(name)
    if not names:
        hint = did_you_mean(name, _known(beside)) or did_you_mean(name, [STDLIB, *sorted(sys.stdlib_module_names)])
        raise SettingError("source.packages", f"source.packages={name} is not installed{hint or '; install it'}")
    packages = [package for each in names if (package := _package(each, skip, beside)) is not None]
    if not any(package.files for package in packages):
        raise SettingError("source.packages", _nothing_of(name, beside))
    return packages


def _package(name: str, skip: Sequence[str], beside: Path | None) -> Package | None:
    top = name.partition(".")[0]
    spec = _spec(top, beside)
    if spec is None:
        return None
    files = [each for each in _files(top, spec) if each.module == name or each.module.startswith(f"{name}.")]
    inner = [file for file in files if not _skipped(file.module.removeprefix(name), skip)]
    return Package(name, _version(top), sorted(inner, key=lambda file: (file.module, file.path.suffix)))


def _spec(top: str, beside: Path | None) -> ModuleSpec | None:
    """Only paths are searched: finding a subpackage would run the package above it."""
    if not top.isidentifier():
        return None
    for path in ([str(beside)] if beside else [], None):
        if path != [] and (spec := PathFinder.find_spec(top, path)) is not None:
            return spec
    try:
        return importlib.util.find_spec(top)  # editable packages have finders of their own
    except ValueError:
        return None


def _files(top: str, spec: ModuleSpec) -> Iterator[ModuleFile]:
    for location in spec.submodule_search_locations or ():
        folder = Path(location)
        for path in folder.rglob("*.py*"):
            if path.suffix in _SUFFIXES:
                inner = path.relative_to(folder)
                parts = inner.with_suffix("").parts
                if all(map(str.isidentifier, parts)):  # else none can import it
                    module = ".".join([top, *(parts[:-1] if parts[-1] == "__init__" else parts)])
                    yield ModuleFile(module, path, f"{top}/{inner.as_posix()}")
    if not spec.submodule_search_locations and spec.has_location and spec.origin is not None:
        first = Path(spec.origin)
        for path in (first.with_name(f"{top}{suffix}") for suffix in _SUFFIXES):
            if path.is_file():
                yield ModuleFile(top, path, path.name)


def _skipped(inner: str, skip: Sequence[str]) -> bool:
    return any(fnmatch(part, pattern) for part in inner.split(".") for pattern in skip)


def _version(top: str) -> str:
    """Name and version of what brought it, for the lineage."""
    if top in sys.stdlib_module_names:
        return f"python {platform.python_version()}"
    names = importlib.metadata.packages_distributions().get(top, [top])
    for name in sorted(names, key=lambda name: (name != top, name)):  # several bring parts of mlx
        try:
            return f"{name} {importlib.metadata.version(name)}"
        except importlib.metadata.PackageNotFoundError:
            break
    return top


def _modules_of(distribution: str) -> list[str]:
    """What a distribution such as scikit-learn is imported as."""
    wanted = _plain(distribution)
    by_module = importlib.metadata.packages_distributions().items()
    return sorted(top for top, names in by_module if wanted in map(_plain, names) and not top.startswith("_"))


def _plain(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")


def _known(beside: Path | None) -> list[str]:
    by_module = importlib.metadata.packages_distributions()
    own = [path.stem for path in beside.iterdir()] if beside else []
    distributions = {name for names in by_module.values() for name in names}
    return sorted({*own, *by_module, *distributions})


def _nothing_of(name: str, beside: Path | None) -> str:
    top, _, inner = name.partition(".")
    spec = _spec(top, beside)
    modules = sorted({file.module for file in _files(top, spec)} if spec else ())
    if inner and name not in modules:
        hint = did_you_mean(name, modules)
        return f"source.packages={name} is no module of {top}{hint}"
    return f"source.packages={name} has no Python files and no stubs (.pyi) to read; name another package"
