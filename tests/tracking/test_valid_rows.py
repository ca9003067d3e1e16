"""What each validation row lost stays whole through a resumption, or is not there."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from harness.tracking import run_folder
from harness.tracking.luck import LEFT_OUT, left_out_of_run, left_said, luck_of
from harness.tracking.store import Store
from harness.tracking.valid_rows import RowKeeper, read_valid_rows

LINES, TARGETS = np.arange(1, 9), np.full(8, 2)


def _keep(folder: Path, losses: list[float], digest: str = "d") -> None:
    """A checkpoint for each loss; rows differ."""
    folder.mkdir(parents=True, exist_ok=True)
    keeper = RowKeeper(folder, digest)
    for number, loss in enumerate(losses, start=1):
        keeper.add(10 * number, LINES, TARGETS, (2 * loss + 0.01 * np.arange(8)).astype(np.float32))


def test_what_was_kept_beyond_the_state_is_dropped_and_done_again(tmp_path: Path) -> None:
    _keep(tmp_path, [3.0, 2.0, 2.5])
    keeper = RowKeeper(tmp_path, "d")
    keeper.resume([10, 20])
    keeper.add(30, LINES, TARGETS, np.ones(8, np.float32))
    found = read_valid_rows(tmp_path)
    assert found is not None and found.steps.tolist() == [10, 20, 30] and found.digest == "d"
    assert (found.sums[2] == 1).all() and found.lines.tolist() == LINES.tolist()


def test_a_run_of_before_the_file_goes_on_without_it(tmp_path: Path) -> None:
    keeper = RowKeeper(tmp_path, "d")
    keeper.resume([10])
    keeper.add(20, LINES, TARGETS, np.ones(8, np.float32))
    assert read_valid_rows(tmp_path) is None and left_out_of_run(tmp_path) == {}


def test_a_loss_that_is_no_number_is_not_among_the_choice(tmp_path: Path) -> None:
    _keep(tmp_path, [2.0, float("nan")])
    found = read_valid_rows(tmp_path)
    assert found is not None and found.steps.tolist() == [10]


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 half a file"])
def test_a_damaged_file_is_none(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / run_folder.VALID_ROWS).write_bytes(damage)
    assert read_valid_rows(tmp_path) is None


def test_the_choice_of_one_checkpoint_costs_nothing_and_of_rows_the_test_split_speaks_first(tmp_path: Path) -> None:
    _keep(tmp_path, [2.0])
    metrics = left_out_of_run(tmp_path)
    assert metrics[LEFT_OUT] == pytest.approx(2.0 + 0.01 * 3.5 / 2)
    assert (left_said({}), left_said(metrics), left_said(metrics | {"test/loss": 3.0})) == (
        "–",
        "2.0175",
        "3.0000 (test)",
    )


def test_runs_scored_on_other_rows_and_runs_without_are_left_out(store: Store, tmp_path: Path) -> None:
    there = dataclasses.replace(store, home=tmp_path)
    _keep(there.runs / "a", [3.0, 2.0])
    _keep(there.runs / "b", [4.0, 4.0, 4.0])
    _keep(there.runs / "c", [1.0], digest="other")
    (there.runs / "old").mkdir()
    found = luck_of(there, ["a", "old", "b", "c"])
    assert found is not None and (found.checkpoints, found.runs, found.alike) == (5, 2, frozenset("a"))
    assert found.left_out == pytest.approx(2.0175)
    assert luck_of(there, ["old", "a"]) is None
