"""A name for exactly what a model's folder holds: of a hub's snapshot its commit, as long as every file is the hub's.

Two models that differ in one byte have different revisions. Knows nothing of how a model is loaded.
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from harness.models.digests import Tell, digests

_SMALL = {".json", ".jinja", ".jsonl", ".model", ".py", ".tiktoken", ".txt"}  # what mlx-lm takes from a hub
_GIT, _LFS = re.compile(r"[0-9a-f]{40}"), re.compile(r"[0-9a-f]{64}")  # by which the hub's cache names its files


@dataclass(frozen=True)
class Revision:
    """`name`: 32 hex digits of all contents, or a commit's 40. `former`: what an earlier version called the same.

    `changed`: files of a snapshot that are not what the hub has.
    """

    name: str
    former: str | None = None
    changed: tuple[str, ...] = ()


def folder_revision(folder: Path, tell: Tell) -> Revision:
    """Of a local folder, by the bytes of all files that a model is made of."""
    return Revision(_of_contents(digests(_files(folder), tell=tell)), former=_former(folder))


def snapshot_revision(folder: Path, tell: Tell) -> Revision:
    """Of a snapshot in the hub's cache, whose folder is named by its commit.

    The cache's files are named by what the hub says of their content, so they are compared with that. Where it has no
    such names (a file system without links), or a file is another one, the contents give the revision.
    """
    found = digests(_files(folder), tell=tell)
    changed = tuple(file.name for file, digest in found.items() if not _as_named(file, digest))
    if not changed:
        return Revision(folder.name)
    linked = any(file.is_symlink() for file in found)
    return Revision(_of_contents(found), changed=changed if linked else ())


def _files(folder: Path) -> list[Path]:
    return sorted({*folder.glob("model*.safetensors"), *(file for file in folder.iterdir() if file.suffix in _SMALL)})


def _of_contents(found: dict[Path, str]) -> str:
    lines = "".join(f"{file.name} {digest}\n" for file, digest in found.items())
    return hashlib.sha256(lines.encode()).hexdigest()[:32]


def _as_named(file: Path, digest: str) -> bool:
    """Whether a cached file's name, git's hash of it or a plain SHA-256, is that of its content."""
    name = file.resolve().name
    if _LFS.fullmatch(name):
        return digest == name
    if _GIT.fullmatch(name):
        content = file.read_bytes()
        return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest() == name
    return False


def _former(folder: Path) -> str | None:
    """16 hex digits as the version before had them: of weights no more than header, size, and both ends.

    None for a folder that it could not read.
    """
    try:
        return _of_ends(folder)
    except (OSError, MemoryError):
        return None


def _of_ends(folder: Path) -> str:
    digest = hashlib.sha256()
    for file in sorted(folder.iterdir()):
        if file.suffix == ".safetensors":
            with file.open("rb") as stream:
                length = int.from_bytes(stream.read(8), "little")
                digest.update(f"{file.name}:{file.stat().st_size}".encode() + stream.read(min(length, 1 << 26)))
                digest.update(stream.read(1 << 16))
                stream.seek(max(8 + length, file.stat().st_size - (1 << 16)))
                digest.update(stream.read())
        elif file.suffix in {".json", ".jinja", ".model", ".txt"} and file.is_file():
            digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()[:16]
