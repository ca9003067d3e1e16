"""Whether mlx.launch started one process or several."""

from pathlib import Path

import pytest

from harness.machine.launched import is_one_of_several


@pytest.mark.parametrize(
    ("variables", "several"),
    [
        ({}, False),
        ({"MLX_RANK": "0", "MLX_HOSTFILE": "\n"}, False),  # -n 1
        ({"MLX_HOSTFILE": '[["a:1"], ["b:1"]]'}, False),
        ({"MLX_RANK": "0", "MLX_HOSTFILE": '[["a:1"], ["b:1"]]'}, True),
        ({"MLX_RANK": "1", "MLX_IBV_DEVICES": '[[null, "x"], ["x", null]]'}, True),
        ({"MLX_RANK": "1", "MLX_HOSTFILE": "damaged"}, True),
    ],
)
def test_what_mlx_launch_sets_tells_whether_there_are_others(
    variables: dict[str, str], several: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        if name != "MLX_RANK":
            (tmp_path / name).write_text(value, "utf-8")
        monkeypatch.setenv(name, value if name == "MLX_RANK" else str(tmp_path / name))
    assert is_one_of_several() is several


@pytest.mark.parametrize(("number", "several"), [("1", False), ("2", True)])
def test_processes_of_several_gpus_are_counted(number: str, several: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLX_RANK", "0")
    monkeypatch.setenv("MLX_WORLD_SIZE", number)
    assert is_one_of_several() is several
