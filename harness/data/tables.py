"""Data sets of Hugging Face's library: of the hub, or local tables and folders. Its one home.

Knows splits and rows as they stand there; nothing of what a row means.
"""

import inspect
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from harness.data.cleaning import encoding_of
from harness.errors import HarnessError

_KINDS = {
    ".csv": "csv",
    ".tsv": "csv",
    ".json": "json",
    ".jsonl": "json",
    ".ndjson": "json",
    ".parquet": "parquet",
    ".arrow": "arrow",
    ".txt": "text",
}
_PACKED = (".gz", ".bz2", ".xz", ".zst")
_NAMES = {"validation": "valid", "valid": "valid", "val": "valid", "dev": "valid", "train": "train", "test": "test"}

Rows = Iterable[Mapping[str, Any]]


def open_splits(
    path: str, splits: Mapping[str, str] | None, options: Mapping[str, Any], say: Callable[[str], object]
) -> dict[str, Rows]:
    """The rows of train, and of valid and test where there are any.

    `splits`: what each is, such as "train[:80%]"; None: those that the data set has by such names. `options`: of
    load_dataset. `say`: gets a line on splits that are not read.

    Raises:
        HarnessError: when the library is not there, or has no such data set or split.
    """
    library = _library()
    local = Path(path).expanduser()
    if local.is_dir() and any((local / name).exists() for name in ("dataset_dict.json", "state.json")):
        found = _asked(path, lambda: library.load_from_disk(str(local)))
        if splits is not None:
            raise HarnessError(
                f"{path} was written by save_to_disk: its splits are read whole; leave source.*_split out"
            )
    elif splits is not None:
        words = _words(local, path) | dict(options)
        return {name: _split(library, split, words, path) for name, split in splits.items()}
    else:
        words = _words(local, path) | dict(options)
        found = _asked(path, lambda: library.load_dataset(**words))
    return _by_name(path, found, say)


def _split(library: ModuleType, split: str, words: Mapping[str, Any], path: str) -> Rows:
    rows: Rows = _asked(f"{path}, split {split}", lambda: library.load_dataset(**words, split=split))
    return rows


def revision(path: str, options: Mapping[str, Any]) -> str:
    """What a data set of the hub was when it was read: its commit, or else the library's own hash of it."""
    library = _library()
    known = inspect.signature(library.load_dataset_builder).parameters
    taken = {name: value for name, value in options.items() if name in known}
    builder = _asked(path, lambda: library.load_dataset_builder(path, **taken))
    commit = re.search(r"@([0-9a-f]{40})\b", str(builder.config.data_files))
    return commit[1] if commit else str(builder.hash)


def _library() -> ModuleType:
    if "pandas" in sys.modules and sys.modules["pandas"] is None:  # commands do without it; this library does not
        del sys.modules["pandas"]
    try:
        import datasets
    except ImportError as error:
        raise HarnessError(
            "source=hf needs the library datasets, which is not installed; pip install 'lora-harness[datasets]'"
        ) from error
    if not sys.stderr.isatty():
        datasets.disable_progress_bars()
    return datasets


def _words(local: Path, path: str) -> dict[str, Any]:
    """Of load_dataset: by its name a set of the hub or a local folder, by its ending a file."""
    if not local.is_file():
        return {"path": str(local) if local.is_dir() else path}
    endings = [ending.lower() for ending in local.suffixes if ending.lower() not in _PACKED]
    kind = _KINDS.get(endings[-1] if endings else "")
    if kind is None:
        raise HarnessError(
            f"source.path={path} must end in {', '.join(_KINDS)}, but it does not; save it as one of them"
        )
    return {"path": kind, "data_files": str(local)} | (_of_csv(local) if kind == "csv" else {})


def _of_csv(file: Path) -> dict[str, str]:
    """Spreadsheets write them with other separators and encodings than commas and UTF-8."""
    if file.suffix.lower() in _PACKED:
        return {}
    encoding = encoding_of(file)
    with file.open(encoding=encoding, errors="replace") as opened:
        heads = opened.readline()
    return {"sep": max(",;\t", key=heads.count), "encoding": encoding}


def _by_name(path: str, found: Any, say: Callable[[str], object]) -> dict[str, Rows]:
    if not isinstance(found, dict):  # one table
        return {"train": found}
    known = {_NAMES[name]: rows for name, rows in found.items() if name in _NAMES}
    others = [name for name in found if name not in _NAMES]
    if "train" not in known and len(found) == 1:
        return {"train": next(iter(found.values()))}
    if "train" not in known:
        raise HarnessError(
            f"{path} has no split train, but {', '.join(found)}; say source.train_split={next(iter(found))}"
        )
    if others:
        say(f"{path} has splits that are not read: {', '.join(others)}; source.train_split={others[0]} reads one")
    return known


def _asked(what: str, load: Callable[[], Any]) -> Any:
    try:
        return load()
    except Exception as error:  # the library's errors share no base class
        reason = " ".join(str(error).split()) or type(error).__name__
        raise HarnessError(f"the data set {what} cannot be read: {reason:.300}") from error
