"""What an unfinished run left in its folder."""

from pathlib import Path

from harness.machine import blas
from harness.run.resume import other_blas
from harness.tracking.entry_kind import EntryKind
from harness.tracking.journal import Journal


def test_a_run_that_goes_on_with_other_products_is_told_apart(tmp_path: Path) -> None:
    now = str(blas.load().kind)
    journal = Journal(tmp_path)
    assert other_blas(tmp_path) is None, "a run of before: not known"
    journal.write(EntryKind.TAGS, values={"device.blas": "other"})
    assert other_blas(tmp_path) == ("other", now)
    journal.write(EntryKind.TAGS, values={"state": "killed"})  # as every interruption does
    assert other_blas(tmp_path) == ("other", now)
    journal.write(EntryKind.TAGS, values={"device.blas": f"other, {now}"})
    assert other_blas(tmp_path) is None
