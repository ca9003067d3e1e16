"""What a model makes of rows."""

import numpy as np
import pytest

from harness.data.dataset import Split
from harness.models.base import Base
from harness.releasing.measured import losses_by_row, mean_loss
from harness.tuning.batches import fixed_batches
from harness.tuning.cut import Tail
from harness.tuning.evaluate import Evaluator


def test_losses_by_row_are_those_that_a_run_scores(base: Base, splits: tuple[Split, Split]) -> None:
    rows = splits[1].rows
    found = losses_by_row(base, rows, 2)
    assert sorted(found.lines.tolist()) == [row.line for row in rows]
    assert int(found.targets.sum()) == sum(row.targets for row in rows)
    whole = Evaluator(Tail(base.model, 0), fixed_batches(rows, len(rows))).score(0)
    assert mean_loss(found) == pytest.approx(whole.loss, rel=1e-5)
    assert np.isfinite(found.sums).all()
