"""Which files a source reads: the one that is named, or those of a folder that it knows, and a word on the others.

Knows names, nothing of what the files hold.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import HarnessError

SPLIT_FILES = ("train.jsonl", "valid.jsonl", "test.jsonl")
_MANIFEST = "manifest.json"  # prepare's own, beside what it wrote
_TABLES = (".csv", ".tsv", ".parquet", ".arrow")
_PACKED = (".gz", ".bz2", ".xz", ".zst", ".zip", ".7z", ".tar", ".rar")
_DOCUMENTS = (".doc", ".docx", ".odt", ".rtf", ".pdf", ".epub", ".mobi", ".xls", ".xlsx", ".ods", ".html", ".htm")


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """`suffixes`: of the files of a folder; `what`: to give, in words; `setting`: that names the path."""

    suffixes: Sequence[str]
    what: str
    setting: str = "source.path"

    def files(self, path: Path, say: Callable[[str], object], *, deep: bool = True) -> list[Path]:
        """The file, or those of the folder in order; `deep`: its folders' too. `say` gets a line on files left aside.

        Hidden files are none of a source's, nor what prepare wrote beside them; of a folder with nothing else, its
        splits are.

        Raises:
            HarnessError: when there is nothing to read, or the file is of a kind that nobody reads as text.
        """
        if not path.exists():
            raise HarnessError(f"{self.setting}={path} is not there; give {self.what}")
        if not path.is_dir():
            self._check(path)
            return [path]
        every = files_in(path, deep=deep)
        files = [file for file in every if file.suffix.lower() in self.suffixes]
        aside = Counter(file.suffix.lower() or "no ending" for file in every if file not in set(files))
        others = ", ".join(f"{count} × {suffix}" for suffix, count in aside.most_common())
        ends = ", ".join(self.suffixes)
        if not files:
            has = f"only {others}" if others else "none"
            hint = next((f"; {said}" for suffix in aside if (said := _hint(suffix))), "")
            raise HarnessError(f"{self.setting}={path} must hold files that end in {ends}, but it has {has}{hint}")
        if others:
            say(f"{path} has files that are not read, since they do not end in {ends}: {others}")
        return files

    def _check(self, path: Path) -> None:
        suffix = path.suffix.lower()
        if suffix not in self.suffixes and (hint := _hint(suffix)):
            raise HarnessError(f"{self.setting}={path} must be {self.what}, but it is {suffix}; {hint}")


def files_in(folder: Path, *, deep: bool = True) -> list[Path]:
    """Of raw material, in order: neither hidden files nor what prepare wrote beside them; if that is all, the splits.

    Raises:
        HarnessError: when a folder cannot be read.
    """
    try:
        return sorted(_visible(folder, deep)) or _splits(folder)
    except OSError as error:
        raise HarnessError(f"{error.filename} cannot be read: {error.strerror}; see that you may read it") from error


def _hint(suffix: str) -> str:
    """What to do with a file of that kind; empty for one that may be text."""
    if suffix in _TABLES:
        return "source=hf reads tables, see conf/source/hf.yaml"
    if suffix in _PACKED:
        return "unpack it first"
    return "save it as plain text, UTF-8" if suffix in _DOCUMENTS else ""


def _visible(folder: Path, deep: bool) -> Iterator[Path]:
    written = _written(folder)
    for each in folder.iterdir():
        if each.name.startswith("."):
            continue
        if each.is_dir():
            if deep and each.resolve() not in (folder.resolve(), *folder.resolve().parents):  # a link may lead back
                yield from _visible(each, deep)
        elif each.name not in written:
            yield each


def _splits(folder: Path) -> list[Path]:
    """Of a prepared folder."""
    written = _written(folder)
    return [folder / name for name in SPLIT_FILES if name in written and (folder / name).exists()]


def _written(folder: Path) -> set[str]:
    """What prepare wrote into a folder of raw files, as its manifest tells."""
    try:
        found = json.loads((folder / _MANIFEST).read_text("utf-8"))
        return {_MANIFEST, *found["outputs"]} if "sources" in found else set()
    except (OSError, ValueError, TypeError, KeyError):
        return set()
