"""The table of a sweep that is drawn anew as its trials go on."""

import json
import re

import pytest
from rich.console import Console

from harness.multirun.live_table import Board

Said = pytest.CaptureFixture[str]


def test_the_table_that_lives_shows_those_at_work_first_and_sums_up_the_rest(capsys: Said) -> None:
    board = Board(Console(stderr=True, width=100, force_terminal=True), 2)
    rows = [{"place": place, "name": f"rank={place}", "state": "done", "value": 5.0 + place} for place in range(1, 21)]
    rows[2] |= {"state": "pruned"}
    rows[3] |= {"state": "failed", "value": None}
    rows[19] |= {"state": "running", "step": 10}
    seconds = [row | {"seconds": 30.0} for row in rows]
    with board.shown():
        board.hear(json.dumps({"total": 30, "rows": seconds, "label": "valid/loss", "maximize": False}))
    drawn = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", capsys.readouterr().err)
    last = drawn[drawn.rindex("valid/loss") :]
    assert last.index("rank=20") < last.index("rank=1 ") and "rank=19" not in last
    assert "19 of 30 trials done, 1 pruned, 1 failed, best 6.0000 by rank=1, about 2 min 45 s left" in last


def test_the_table_that_lives_shows_the_metric_that_steers_the_sweep_the_best_first(capsys: Said) -> None:
    board = Board(Console(stderr=True, width=100, force_terminal=True), 1)
    rows = [{"place": place, "name": f"rank={place}", "state": "done", "value": place / 10} for place in (3, 6, 5)]
    with board.shown():
        board.hear(json.dumps({"total": 3, "rows": rows, "label": "judge/win_rate", "maximize": True}))
    drawn = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", capsys.readouterr().err)
    last = drawn[drawn.rindex("judge/win_rate") :]
    assert last.index("rank=6") < last.index("rank=5") < last.index("rank=3")
    assert "best 0.6000 by rank=6" in last and "valid/loss" not in drawn
