"""From which public module users import an object that a private one defines, told from what is written alone.

Knows names, imports and __all__ of a package's files. Does not follow stars through several modules.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from harness.data.documented import FileDocs
from harness.data.installed import ModuleFile


@dataclass(frozen=True)
class Exports:
    """`root`: the package asked for, which counts as public itself; `homes`: of a name, the module nearest to it."""

    root: str
    homes: Mapping[str, str]

    @classmethod
    def of(cls, root: str, files: Mapping[ModuleFile, FileDocs]) -> "Exports":
        names: dict[str, list[str]] = {}
        for file, docs in files.items():
            names.setdefault(file.module, []).extend(_own_names(docs))
        homes: dict[str, str] = {}
        for file, docs in sorted(files.items(), key=lambda item: (item[0].module.count("."), item[0].module)):
            if not _private(file.module.removeprefix(root)):
                for name in _passed_on(file, docs, names):
                    homes.setdefault(name, file.module)
        return cls(root, homes)

    def public_home(self, module: str, name: str) -> str | None:
        """Where users find the object (name "": the module itself) of `module`; None when it is private."""
        if _private(name):
            return None
        if not _private(module.removeprefix(self.root)):
            return module
        return self.homes.get(name.partition(".")[0]) if name else None


def _private(dotted: str) -> bool:
    return any(part.startswith("_") for part in dotted.split("."))


def _own_names(docs: FileDocs) -> list[str]:
    """What a star brings."""
    if docs.listed is not None:
        return docs.listed
    return [each.name for each in docs.docstrings if each.name and "." not in each.name and not _private(each.name)]


def _passed_on(file: ModuleFile, docs: FileDocs, names: Mapping[str, list[str]]) -> list[str]:
    """The imported names of a package's own file, of __all__, or of another's whole __all__."""
    passed = list(docs.listed or ())
    whole = {module for module, name in docs.imported if name == "__all__"}
    for module, name in docs.imported:
        if name == "*":
            passed += names.get(_absolute(module, file), [])
        elif (file.is_package or module in whole) and not _private(name):
            passed.append(name)
    return passed


def _absolute(module: str, file: ModuleFile) -> str:
    """`..core` as written in a file, in full."""
    inner = module.lstrip(".")
    level = len(module) - len(inner)
    if level == 0:
        return module
    parts = file.module.split(".")
    above = parts[: len(parts) - level + file.is_package]
    return ".".join([*above, *([inner] if inner else [])])
