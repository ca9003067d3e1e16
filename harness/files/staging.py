"""A folder beside the output, in which it is made: gone at the end, however the process ends, or put in its place.

What a process that was killed left there, the next one on the same output clears. Knows nothing of what is made.
"""

import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from harness.errors import HarnessError
from harness.files.plainly import said_plainly


@contextmanager
def staging(out: Path, *, setting: str) -> Iterator[Path]:
    """An empty folder on the same disk as `out`, held by a lock that ends with the process.

    `setting`: by which `out` was given.

    Raises:
        HarnessError: when none can be made.
    """
    out = out.absolute()
    there = next(parent for parent in out.parents if parent.is_dir())
    with ExitStack() as held:
        try:
            with _locked(there):  # nobody clears a folder that is made, but not locked yet
                _clear(there, out.name)
                folder = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=there))
                held.callback(shutil.rmtree, folder, ignore_errors=True)
                held.enter_context(_locked(folder))
        except OSError as error:
            raise HarnessError(f"{out} cannot be written: {error.strerror}; choose another {setting}") from error
        yield folder


def check_place(out: Path, *, setting: str) -> None:
    """Before anything is read or computed for an output that is a folder.

    Raises:
        HarnessError: when something is there, or none can be made there.
    """
    if out.exists() or out.is_symlink():
        raise HarnessError(f"{setting}={out} must not be there yet, but it is; remove it, or choose another name")
    there = out.absolute().parent
    if not there.is_dir():
        raise HarnessError(f"{setting}={out} must be in a folder that exists, but {out.parent} does not; make it first")
    if not os.access(there, os.W_OK):
        raise HarnessError(
            f"{setting}={out} must be in a folder that you may write, but {there} is none; choose another"
        )


@contextmanager
def staged(out: Path, *, setting: str) -> Iterator[Path]:
    """A folder to build in, which gets the name `out` at the end; nothing is left of it after an error.

    Raises:
        HarnessError: when `out` is there by then.
        WriteError: when the disk does not take it.
    """
    with staging(out, setting=setting) as around, said_plainly(out):
        building = around / "whole"  # made with the rights that folders usually have
        building.mkdir()
        yield building
        check_place(out, setting=setting)
        building.rename(out)


def _clear(there: Path, name: str) -> None:
    """Folders of that output whose process is gone: nobody holds their locks."""
    ours = re.compile(rf"\.{re.escape(name)}\.[a-z0-9_]{{8}}")  # as mkdtemp names them
    for folder in there.iterdir():
        if ours.fullmatch(folder.name) and folder.is_dir() and not folder.is_symlink():
            with suppress(BlockingIOError), _locked(folder, wait=False):
                shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _locked(folder: Path, *, wait: bool = True) -> Iterator[None]:
    """Raises: BlockingIOError when another has the lock and it is not to be waited for."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield
    finally:
        os.close(descriptor)
