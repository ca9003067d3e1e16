"""The processes that train, and the one that watches over them."""

import sys
from pathlib import Path

import pytest
from rich.console import Console

from harness.errors import HarnessError
from harness.multirun.live_table import Board
from harness.multirun.supervisor import Crew, supervise

Said = pytest.CaptureFixture[str]


def test_a_worker_that_dies_again_and_again_as_it_begins_is_given_up() -> None:
    code = "import os, signal; os.kill(os.getpid(), signal.SIGABRT)"
    with pytest.raises(HarnessError, match="ended by SIGABRT 3 times as it began"):
        supervise([sys.executable, "-c", code])


def test_each_worker_has_a_gpu_of_its_own_where_there_are_several(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Said
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    line = "f\"{os.environ['HARNESS_WORKER']} {os.environ['CUDA_VISIBLE_DEVICES']}\\n\""
    code = f"import os; os.write(1, {line}.encode())"  # whole, whoever else writes
    with (tmp_path / "said").open("w+") as said:
        board = Board(Console(stderr=True), 3)
        assert Crew([sys.executable, "-c", code], 3, board, results=said).run() == 0
        said.seek(0)
        assert sorted(said.read().splitlines()) == ["0 3", "1 5", "2 3"]
    assert "3 workers share 2 GPUs: each needs its own memory" in capsys.readouterr().err
