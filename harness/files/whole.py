"""Files that are written whole beside their place, then renamed into it: a crash leaves the former one or the new."""

import hashlib
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.files.plainly import said_plainly


def write_whole(path: Path, write: Callable[[Path], object], *, durable: bool = True) -> None:
    """Let `write` fill a temporary neighbour of `path` (same suffix), then rename it to `path`.

    `durable`: what was written is on the disk before the name is, so that a power cut leaves the former file or the new
    one. It costs about 10 ms.
    """
    with said_plainly(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
        try:
            write(temporary)
            if durable:
                sync(temporary)
            temporary.replace(path)
            if durable:
                sync(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_text(path: Path, text: str) -> None:
    write_whole(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def write_json(path: Path, value: Any) -> None:
    write_text(path, json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def writable(text: str) -> str:
    """The text as UTF-8 can hold it: half a pair of UTF-16, which JSON may bring in, becomes U+FFFD."""
    return _HALF_A_PAIR.sub("\ufffd", text)


_HALF_A_PAIR = re.compile("[\ud800-\udfff]")


def replace_link(link: Path, target: str) -> None:
    """Make `link` a symbolic link to its neighbour `target`, replacing a former one at once."""
    temporary = link.with_name(f".{link.name}")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target)
    temporary.replace(link)


def make_folder(path: Path) -> None:
    with said_plainly(path):
        path.mkdir(parents=True, exist_ok=True)


def digest_of(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
