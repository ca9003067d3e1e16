"""SHA-256 over all bytes of large files, each paid once: kept by path, size, inode and times of change.

Several files are read at a time; each hash is the one that hubs list and `sha256sum` prints. Knows nothing of models.
"""

import hashlib
import json
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass
from pathlib import Path

from harness.config.paths import MLRUNS
from harness.errors import HarnessError
from harness.files import make_folder, one_at_a_time, write_json

_PART = 1 << 22  # bytes read at a time
_THREADS = 8
_TELL_SECONDS = 0.25
_SILENT_SECONDS = 2.0  # what takes less is not worth a word
_SETTLED_SECONDS = 2.0

# bytes read, bytes in all
Tell = Callable[[int, int], None]


@dataclass(frozen=True)
class Stamp:
    """What changes when a file does: `size` in bytes, times in nanoseconds."""

    size: int
    inode: int
    changed: int
    modified: int

    @classmethod
    def of(cls, path: Path) -> "Stamp":
        found = path.stat()
        return cls(found.st_size, found.st_ino, found.st_ctime_ns, found.st_mtime_ns)


def digests(
    files: Sequence[Path],
    *,
    cache: Path = MLRUNS / "cache" / "digests",
    tell: Tell = lambda done, total: None,
    settled_seconds: float = _SETTLED_SECONDS,
) -> dict[Path, str]:
    """64 hex digits for each file. `tell` is told how far reading has come when it takes longer than two seconds.

    One process reads, others wait for it. Of a file that changed less than `settled_seconds` ago nothing is kept: it
    may change again within the grain of its clock.

    Raises:
        HarnessError: when a file is being written.
        WriteError: when the cache cannot be.
    """
    make_folder(cache)
    found = {file: _kept(cache, file) for file in files}
    if None in found.values():
        with one_at_a_time(cache / ".lock"):
            found = {file: _kept(cache, file) for file in files}
            found |= _computed([file for file, digest in found.items() if digest is None], cache, tell, settled_seconds)
    return {file: digest for file, digest in found.items() if digest is not None}


def _computed(files: Sequence[Path], cache: Path, tell: Tell, settled: float) -> dict[Path, str]:
    stamps = {file: Stamp.of(file) for file in files}
    total, done = sum(stamp.size for stamp in stamps.values()), dict.fromkeys(files, 0)
    with ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1)) as pool:
        running = {file: pool.submit(_sha256, file, done) for file in files}
        begun = time.monotonic()
        while wait(running.values(), timeout=_TELL_SECONDS).not_done:
            if time.monotonic() - begun > _SILENT_SECONDS:
                tell(sum(done.values()), total)
    found = {file: each.result() for file, each in running.items()}
    for file, stamp in stamps.items():
        if Stamp.of(file) != stamp:
            raise HarnessError(f"{file} must not change while it is read, but it did; try again when it is whole")
        if time.time() - max(stamp.changed, stamp.modified) / 1e9 >= settled:
            write_json(_entry(cache, file), {"path": str(file.resolve()), "digest": found[file], **asdict(stamp)})
    return found


def _sha256(file: Path, done: dict[Path, int]) -> str:
    """`done`: where the bytes read so far are counted."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while part := stream.read(_PART):
            digest.update(part)
            done[file] += len(part)
    return digest.hexdigest()


def _kept(cache: Path, file: Path) -> str | None:
    """The digest of an earlier time, where the file is the one of then."""
    try:
        entry = json.loads(_entry(cache, file).read_text("utf-8"))
        same = entry == {"path": str(file.resolve()), "digest": entry["digest"], **asdict(Stamp.of(file))}
        return str(entry["digest"]) if same else None
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def _entry(cache: Path, file: Path) -> Path:
    return cache / f"{hashlib.sha256(str(file.resolve()).encode()).hexdigest()[:32]}.json"
