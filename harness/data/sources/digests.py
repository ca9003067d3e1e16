"""By what bytes a source was known when it was read, for the manifest. Knows files, nothing of what they hold."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from harness.data.sources.files import files_in
from harness.files import digest_of


def digests_of(path: Path) -> dict[str, str]:
    """SHA-256 of a file, or of each file of a folder, by its name from there on; nothing where there is neither."""
    if path.is_file():
        return {path.name: digest_of(path)}
    files = files_in(path) if path.is_dir() else []
    return {file.relative_to(path).as_posix(): digest_of(file) for file in files}


def digest_of_all(files: Iterable[tuple[str, Path]]) -> str:
    """One for many files, by name and bytes in the order given."""
    whole = hashlib.sha256()
    for name, file in files:
        whole.update(f"{name}\0{digest_of(file)}\n".encode())
    return whole.hexdigest()
