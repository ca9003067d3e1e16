"""A folder that is made once and kept, by a name that says what it is made from. Knows nothing of what is in it."""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from harness.files.whole import make_folder


def made_once(target: Path, build: Callable[[Path], None]) -> Path:
    """`target`, which `build` fills if it is not there yet; of several processes at once the first one's stays.

    Raises:
        WriteError: when it cannot be written.
    """
    if target.exists():
        return target
    make_folder(target.parent)
    building = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        build(building)
        building.rename(target)
    except OSError:
        if not target.exists():  # else another process was first, with the same bytes
            raise
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return target
