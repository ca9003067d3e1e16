"""The docstrings of installed packages as questions and answers, without running any of their code.

Knows the questions and which docstrings are wanted; files are found by installed.py and read by documented.py.
"""

import hashlib
import multiprocessing
import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass as checked_dataclass

from harness.data.cleaning import tidy
from harness.data.documented import Docstring, FileDocs, read_file
from harness.data.exports import Exports
from harness.data.installed import ModuleFile, Package, find_packages
from harness.data.kinds import Kind
from harness.data.sources.digests import digest_of_all
from harness.data.sources.found import Found, Rejected, Tools
from harness.errors import HarnessError, SettingError

PATH_OPTIONAL = True
_PROCESSES_PAY = 512  # files for each; parsing them takes about the second that starting a process does
_AT_ONCE = 16  # files handed to a process


@checked_dataclass(frozen=True, config=ConfigDict(strict=True, extra="forbid"))
class Settings:
    """`limit`: characters of an answer; `forms`: of the questions, how many are asked about each."""

    packages: Annotated[list[str], Field(min_length=1)]
    skip: list[str]
    format: Literal["text", "messages"]
    system: str | None
    questions: Annotated[list[str], Field(min_length=1)]
    module_questions: Annotated[list[str], Field(min_length=1)]
    forms: Annotated[int, Field(ge=1)]
    limit: Annotated[int, Field(ge=1)]
    longer: Literal["cut", "drop"]
    group: Literal["object", "module"]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A docstring in its package. `module`: where users import it from, or where it is when it is private."""

    docstring: Docstring
    package: Package
    file: ModuleFile
    module: str
    public: bool

    @property
    def qualified(self) -> str:
        """As users would write it; of a module its own name."""
        return f"{self.module}.{self.docstring.name}".rstrip(".")

    @property
    def origin(self) -> str:
        return f"{self.file.shown}:{self.docstring.line}"


def rows(path: Path | None, settings: Settings, tools: Tools) -> Iterator[Found | Rejected]:
    """`path`: a folder of packages that is looked in first, such as another environment's site-packages.

    Raises: HarnessError for a package that is not there.
    """
    _check(path, settings)
    named = [(name, each) for name in settings.packages for each in find_packages(name, settings.skip, path)]
    read = iter(_read_all([file.path for _, package in named for file in package.files]))
    cut = 0
    for name, package in named:
        for row in _of_package(name, package, [next(read) for _ in package.files], settings):
            cut += isinstance(row, Found) and "cut_from" in row.lineage
            yield row
    if cut:
        tools.say(f"{cut} answers are cut to source.limit={settings.limit}; source.longer=drop leaves them out")


def digests(path: Path | None, settings: Settings) -> dict[str, str]:
    """One of each package's files, with its version."""
    packages = [each for name in settings.packages for each in find_packages(name, settings.skip, path)]
    return {
        f"{each.name} {each.version}": digest_of_all((file.shown, file.path) for file in each.files)
        for each in packages
    }


def _check(path: Path | None, settings: Settings) -> None:
    if path is not None and not path.is_dir():
        raise HarnessError(f"source.path={path} must be a folder of packages, but it is none; leave it out, or mend it")
    if settings.system and settings.format == "text":
        raise SettingError("source.system", "source.system needs source.format=messages; set one of the two")
    for setting in ("questions", "module_questions"):
        for question in getattr(settings, setting):
            try:
                question.format(name="", what="", where="")
            except (KeyError, IndexError, ValueError) as error:
                rule = f"source.{setting} may have {{name}}, {{what}} and {{where}} filled in, but got {question!r}"
                raise SettingError(f"source.{setting}", rule) from error


def _read_all(paths: Sequence[Path]) -> list[FileDocs]:
    """In the order given. Threads would wait for each other: parsing holds the interpreter's lock."""
    workers = min(os.cpu_count() or 1, len(paths) // _PROCESSES_PAY + 1)
    if workers == 1:
        return [read_file(path) for path in paths]
    spawn = multiprocessing.get_context("spawn")  # a fork would copy the locks of threads that it does not have
    with ProcessPoolExecutor(workers, mp_context=spawn, initializer=_leave_the_end_to_the_parent) as pool:
        return list(pool.map(read_file, paths, chunksize=_AT_ONCE))


def _leave_the_end_to_the_parent() -> None:
    """Ctrl-C is the parent's to heed; when it is killed, this process ends too."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None, "it was started by a pool"
    parent.join()
    os._exit(1)


def _of_package(
    label: str, package: Package, read: Sequence[FileDocs], settings: Settings
) -> Iterator[Found | Rejected]:
    exports = Exports(package.name, dict(zip(package.files, read, strict=True)))
    entries = list(_entries(package, read, exports))
    public = {(entry.module, entry.docstring.name) for entry in entries if entry.public}
    places = Counter(name for _, name in public)
    for file, docs in zip(package.files, read, strict=True):
        if docs.problem is not None:
            yield Rejected.of(file.shown, origin=file.shown, kind=Kind.UNREADABLE, reason=docs.problem)
    for entry in entries:
        where = package.name if places[entry.docstring.name] == 1 else entry.module
        yield from _rows_of(entry, where, label, settings)


def _entries(package: Package, read: Sequence[FileDocs], exports: Exports) -> Iterator[Entry]:
    """Of a stub only what the module beside it does not say."""
    said: set[tuple[str, str]] = set()
    for file, docs in zip(package.files, read, strict=True):
        there = {(each.module or file.module, each.name) for each in docs.docstrings}
        for docstring in docs.docstrings:
            home = docstring.module or file.module
            if file.path.suffix == ".pyi" and (home, docstring.name) in said:
                continue
            module = exports.public_home(home, docstring.name)
            yield Entry(
                docstring=docstring, package=package, file=file, module=module or home, public=module is not None
            )
        said |= there


def _rows_of(entry: Entry, where: str, label: str, settings: Settings) -> Iterator[Found | Rejected]:
    text = tidy(entry.docstring.text)

    def rejected(kind: Kind, reason: str) -> Rejected:
        return Rejected.of(text, origin=entry.origin, kind=kind, reason=reason)

    if not entry.public:
        yield rejected(Kind.UNWANTED, "it is private")
    elif not text:
        yield rejected(Kind.UNWANTED, "it is empty")
    elif len(text) > settings.limit and settings.longer == "drop":
        yield rejected(Kind.TOO_LONG, f"it has {len(text)} characters, source.limit={settings.limit}")
    else:
        top = entry.docstring.name.partition(".")[0] if settings.group == "object" else ""
        lineage: dict[str, Any] = {"object": entry.qualified, "version": entry.package.version}
        if len(text) > settings.limit:
            lineage["cut_from"] = len(text)
        for question in _questions(entry, where, settings):
            yield Found(
                line=_line(question, _cut(text, settings.limit), settings),
                origin=entry.origin,
                group=f"{entry.module}.{top}".rstrip("."),
                label=label,
                lineage=lineage,
            )


def _questions(entry: Entry, where: str, settings: Settings) -> list[str]:
    """So many different ones; which, the object's name decides, so that no other object changes it."""
    docstring = entry.docstring
    forms = settings.questions if docstring.name else settings.module_questions
    first = hashlib.sha256(entry.qualified.encode()).digest()[0]
    chosen = [forms[(first + number) % len(forms)] for number in range(min(settings.forms, len(forms)))]
    name = docstring.name or entry.module
    return [form.format(name=name, what=docstring.what, where=where) for form in chosen]


def _cut(text: str, limit: int) -> str:
    """The whole paragraphs, else lines, else words that fit, where they come to half of the limit at least."""
    if len(text) <= limit:
        return text
    for between in ("\n\n", "\n", " "):
        end = text.rfind(between, 0, limit + len(between))
        if end >= limit // 2:
            return text[:end].rstrip()
    return text[:limit].rstrip()


def _line(question: str, answer: str, settings: Settings) -> dict[str, Any]:
    if settings.format == "text":
        return {"text": f"Q: {question}\nA: {answer}"}
    system = [{"role": "system", "content": settings.system}] if settings.system else []
    asked = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return {"messages": [*system, *asked]}
