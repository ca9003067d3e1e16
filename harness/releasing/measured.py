"""What a model with what is on it makes of rows of data: the figures that checks and exports rest on."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from harness.config.schema import Config
from harness.data.dataset import Row
from harness.models.adapter_files import AdapterFiles
from harness.models.base import Base
from harness.tracking.recorded import config_of
from harness.tuning.batches import fixed_batches
from harness.tuning.cut import Tail
from harness.tuning.evaluate import Evaluator, RowLosses


def config_beside(adapter: AdapterFiles) -> Config | None:
    """Of the run that trained it: beside the checkpoint, or above the run's checkpoints. None for a stranger's."""
    folders: list[Path] = [adapter.weights.parent, adapter.weights.parent.parent]
    return next((config for folder in folders if (config := config_of(folder)) is not None), None)


def losses_by_row(
    base: Base,
    rows: Sequence[Row],
    batch_size: int,
    on_batch: Callable[[int, int], None] = lambda done, total: None,
) -> RowLosses:
    """Of its model as it stands, with the adapter that is attached: sums in nats and learned tokens, row by row.

    `lines` of what comes back are the rows' numbers in their file; two models' are in the same order.
    """
    found: list[RowLosses] = []
    tail = Tail(base.model, 0, compiled=False)  # each width once: compiling takes longer than it saves
    Evaluator(tail, fixed_batches(rows, batch_size)).score(0, on_batch, on_rows=found.append)
    return found[0]


def mean_loss(losses: RowLosses) -> float:
    """Nats a learned token."""
    return float(losses.sums.astype(np.float64).sum() / losses.targets.sum())
