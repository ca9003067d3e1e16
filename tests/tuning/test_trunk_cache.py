"""Where what the frozen blocks made is kept."""

import os
from pathlib import Path

from harness.tuning.trunk_cache import Trunks


def test_what_was_longest_unused_goes_first(tmp_path: Path) -> None:
    for age, name in enumerate(("new", "old", "oldest")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "cut-0001.bin").write_bytes(b"x" * 100)
        os.utime(tmp_path / name, (1000 - age, 1000 - age))
    trunks = Trunks(tmp_path)
    trunks.keep_under(250)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "old"]
    trunks.keep_under(10)
    assert [path.name for path in tmp_path.iterdir()] == ["new"], "what is in use stays"
