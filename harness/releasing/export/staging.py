"""A folder that is there whole or not at all. Knows nothing of what is in it."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.errors import HarnessError, WriteError


def refuse_existing(out: Path) -> None:
    """Before anything is read or computed.

    Raises:
        HarnessError: when something is there, or the folder that it is to be in is not.
    """
    if out.exists() or out.is_symlink():
        raise HarnessError(f"--out={out} must not be there yet, but it is; remove it, or choose another name")
    if not out.absolute().parent.is_dir():
        raise HarnessError(f"--out={out} must be in a folder that exists, but {out.parent} does not; make it first")


@contextmanager
def staged(out: Path) -> Iterator[Path]:
    """A folder beside `out` to build in, which gets that name at the end; nothing is left of it after an error.

    Raises:
        HarnessError: when `out` is there by then.
        WriteError: when the disk does not take it.
    """
    out = out.absolute()
    with _said_plainly(out):
        building = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        building.chmod(0o777 & ~_umask())
        with _said_plainly(out):
            yield building
            refuse_existing(out)
            building.rename(out)
    finally:
        shutil.rmtree(building, ignore_errors=True)


@contextmanager
def _said_plainly(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise WriteError(f"{out} cannot be written: {error.strerror or error}; make room, or choose --out") from error


def _umask() -> int:
    now = os.umask(0o022)
    os.umask(now)
    return now
