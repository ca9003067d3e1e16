"""What is left of the best loss after the choice, and which runs may be the best as well: from their validation rows.

The lowest of many losses on the same rows is low by luck too. Knows nothing of how it is shown.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness.statistics.choice import left_out_loss, may_be_best
from harness.tracking.store import Store
from harness.tracking.valid_rows import ValidRows, read_valid_rows, valid_rows_of

LEFT_OUT = "valid/left_out_loss"  # of a run: what is left after the choice among its own checkpoints
TEST = "test/loss"


@dataclass(frozen=True)
class Luck:
    """`left_out`: mean loss on validation rows that did not choose, of what the others chose among all these
    `checkpoints` of so many `runs`; None for too few rows. `alike`: runs that may be the best on other rows."""

    left_out: float | None
    checkpoints: int
    runs: int
    alike: frozenset[str]

    @property
    def said(self) -> str:
        """Of the choice, in a line."""
        among = f"{self.checkpoints} checkpoints of {self.runs} run{'s' if self.runs > 1 else ''}"
        if self.left_out is None:
            return f"chosen among {among} on too few validation rows to say what is left of it on others"
        return f"chosen among {among} on the same rows: {self.left_out:.4f} is left of it on rows that did not choose"


def luck_of(store: Store, run_ids: Sequence[str]) -> Luck | None:
    """Of the choice among these runs, the best first; those without rows, or with others than the best's, are left out.

    None where the best has none.
    """
    found: dict[str, ValidRows] = {}
    for run_id in run_ids:
        rows = valid_rows_of(store, run_id)
        if rows is not None and len(rows.steps) and _comparable(rows, next(iter(found.values()), rows)):
            found[run_id] = rows
        elif not found:
            return None
    return _luck(found) if found else None


def left_out_of_run(folder: Path) -> dict[str, float]:
    """The metric of one run, by its name; empty where it cannot be told."""
    rows = read_valid_rows(folder)
    if rows is None or not len(rows.steps):
        return {}
    left = left_out_loss(rows.sums.astype(np.float64), rows.targets.astype(np.float64))
    return {} if left is None else {LEFT_OUT: left}


def left_said(metrics: Mapping[str, float]) -> str:
    """Of a run: its loss on the test split, else on validation rows that did not choose; – where neither is known."""
    if TEST in metrics:
        return f"{metrics[TEST]:.4f} (test)"
    return f"{metrics[LEFT_OUT]:.4f}" if LEFT_OUT in metrics else "–"


def _comparable(one: ValidRows, other: ValidRows) -> bool:
    return one.digest == other.digest and np.array_equal(one.targets, other.targets)


def _luck(found: Mapping[str, ValidRows]) -> Luck:
    sums = np.concatenate([rows.sums for rows in found.values()]).astype(np.float64)
    groups = np.repeat(np.arange(len(found)), [len(rows.steps) for rows in found.values()])
    targets = next(iter(found.values())).targets.astype(np.float64)
    marks = may_be_best(sums, groups)
    alike = frozenset(run_id for run_id, marked in zip(found, marks, strict=True) if marked)
    return Luck(left_out_loss(sums, targets), len(sums), len(found), alike)
