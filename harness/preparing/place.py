"""A folder that is finished, put where it belongs: whole, and never over something else unasked.

Knows files and their bytes, nothing of rows.
"""

from collections.abc import Sequence
from pathlib import Path

from harness.errors import HarnessError, WriteError
from harness.files import digest_of, sync

_TRAINED_ON = "train.jsonl"
LAST = "manifest.json"  # it says what the others are


def put_in_place(folder: Path, out: Path, *, replace: bool) -> bool:
    """Move the files of `folder` into `out`; False when all are there already, byte for byte.

    Where `out` is not there, the folder itself is renamed. Else each file is: files of other names stay as they are.
    Then train.jsonl is taken away first where lines change and put there last but the manifest, so that nobody trains
    on a mixture when the process is killed between.

    Raises:
        HarnessError: when there are other lines, or files of the same names that prepare did not write, and they are
            not to be replaced.
    """
    files = sorted((file for file in folder.iterdir() if not file.name.startswith(".")), key=_last)
    there = [file for file in files if (out / file.name).exists()]
    differ = [file for file in there if digest_of(file) != digest_of(out / file.name)]
    if not differ and len(there) == len(files):
        return False
    mine = (out / LAST).exists()  # then what is told of the lines may change, as it does with other versions
    guarded = [file for file in differ if file.suffix == ".jsonl" or not mine]
    if guarded and not replace:
        raise HarnessError(
            f"{out / guarded[0].name} is there already and would change; choose another data.path, move it away, "
            "or say replace=true"
        )
    try:
        _move(files, folder, out, lines_change=any(file.suffix == ".jsonl" for file in differ))
    except OSError as error:
        raise WriteError(f"{out} cannot be written: {error.strerror}; see that it is a folder you may write") from error
    return True


def _last(file: Path) -> tuple[bool, bool, str]:
    return file.name == LAST, file.name == _TRAINED_ON, file.name


def _move(files: Sequence[Path], folder: Path, out: Path, *, lines_change: bool) -> None:
    for file in files:
        sync(file)
    out.parent.mkdir(parents=True, exist_ok=True)
    if not out.exists():
        folder.chmod(0o755)
        folder.replace(out)
    else:
        out.mkdir(exist_ok=True)
        (out / LAST).unlink(missing_ok=True)
        if lines_change:
            (out / _TRAINED_ON).unlink(missing_ok=True)
        for file in files:
            file.replace(out / file.name)
    sync(out)
