"""From which module users import an object that another one defines, told from what is written alone.

Knows names, imports and __all__ of a package's files; nothing of texts.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from harness.data.documented import FileDocs, Imported
from harness.data.installed import ModuleFile


@dataclass(frozen=True)
class _Module:
    """What a module (its file and its stub) defines, and passes on of others."""

    defined: set[str] = field(default_factory=set)
    imported: list[Imported] = field(default_factory=list)  # modules in full
    listed: set[str] | None = None

    @property
    def by_star(self) -> set[str]:
        if self.listed is not None:
            return self.listed
        return {name for name in (*self.defined, *(each.name for each in self.imported)) if not _private(name)}


class Exports:
    """`root`: the package asked for, which counts as public itself."""

    def __init__(self, root: str, files: Mapping[ModuleFile, FileDocs]) -> None:
        self._root = root
        self._modules: dict[str, _Module] = {}
        for file, docs in files.items():
            self._add(file, docs)
        self._homes: dict[tuple[str, str], str] = {}
        for name in sorted(self._modules, key=lambda name: (name.count("."), name)):
            if not self._is_private(name):
                for passed in sorted(self._passed_on(name, {file.module for file in files if file.is_package})):
                    if (definer := self._definer(name, passed, set())) is not None:
                        self._homes.setdefault((definer, passed), name)

    def public_home(self, module: str, name: str) -> str | None:
        """The shortest place where users find the object (name "": the module itself) of `module`; None: private."""
        if _private(name):
            return None
        own = None if self._is_private(module) else module
        return self._homes.get((module, name.partition(".")[0]), own) if name else own

    def _is_private(self, module: str) -> bool:
        return _private(module.removeprefix(self._root))

    def _add(self, file: ModuleFile, docs: FileDocs) -> None:
        module = self._modules.setdefault(file.module, _Module())
        module.imported.extend(Imported(_absolute(each.module, file), each.name) for each in docs.imported)
        if docs.listed is not None:
            listed = (module.listed or set()) | set(docs.listed)
            module = self._modules[file.module] = _Module(module.defined, module.imported, listed)
        for each in docs.docstrings:
            home = self._modules.setdefault(each.module or file.module, _Module())
            home.defined.add(each.name.partition(".")[0])

    def _passed_on(self, name: str, packages: set[str]) -> Iterator[str]:
        """What a package's own file imports; of another, what is in __all__, also in one that it imports whole."""
        module = self._modules[name]
        whole = {each.module for each in module.imported if each.name == "__all__"}
        yield from module.listed or ()
        for each in module.imported:
            if each.name == "*":
                yield from self._modules.get(each.module, _Module()).by_star
            elif name in packages or each.module in whole:
                yield each.name

    def _definer(self, name: str, wanted: str, seen: set[str]) -> str | None:
        """The module that defines what `name` passes on as `wanted`."""
        module = self._modules.get(name)
        if module is None or name in seen:
            return None
        seen.add(name)
        if wanted in module.defined:
            return name
        for each in module.imported:
            inner = self._modules.get(each.module)
            if each.name == wanted or (each.name == "*" and inner is not None and wanted in inner.by_star):
                found = self._definer(each.module, wanted, seen)
                if found is not None:
                    return found
        return None


def _private(dotted: str) -> bool:
    return any(part.startswith("_") for part in dotted.split("."))


def _absolute(module: str, file: ModuleFile) -> str:
    """`..core` as written in a file, in full."""
    inner = module.lstrip(".")
    level = len(module) - len(inner)
    if level == 0:
        return module
    parts = file.module.split(".")
    above = parts[: len(parts) - level + file.is_package]
    return ".".join([*above, *([inner] if inner else [])])
