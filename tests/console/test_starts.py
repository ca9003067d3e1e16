"""What a command does before it knows what to do: `--help` and `--cfg` import little and compute little."""

import json
from pathlib import Path

import pytest

from tests.commands import run_command, start_command

HYDRA = ("train", "generate", "compare", "judge", "prepare", "doctor")
CLICK = ("promote", "runs", "ui", "adopt", "reconcile", "sweep", "report", "lineage", "refine", "review", "export")
ASKED = [f"{door} --help" for door in HYDRA + CLICK] + [f"{door} --cfg job" for door in HYDRA]
HEAVY = {
    *("mlx", "mlx_lm", "transformers", "tokenizers", "numpy", "scipy", "mlflow", "sqlalchemy", "optuna"),
    *("openai", "httpx", "fastapi", "rich", "matplotlib", "plotly", "psutil", "rapidfuzz"),
}
# Of one process for all, for much of it is the same. `calls` of Python functions, in place of seconds
ALL_STARTS = f"""
import contextlib, io, json, runpy, sys

def count(frame, event, argument):
    global calls
    calls += event == "call"

for asked in {ASKED!r}:
    door, *words = asked.split()
    calls, sys.argv = 0, ["", *words]
    sys.setprofile(count)
    with contextlib.redirect_stdout(io.StringIO()) as said:
        try:
            runpy.run_module("harness." + door, run_name="__main__")
        except SystemExit:
            pass
    sys.setprofile(None)
    loaded = sorted(name for name in {sorted(HEAVY)!r} if sys.modules.get(name))
    print(json.dumps([asked, len(said.getvalue()), loaded, calls]))
"""


def test_help_and_cfg_import_nothing_heavy_and_compute_little(tmp_path: Path) -> None:
    said = start_command("-c", ALL_STARTS, folder=tmp_path, check=True).stdout
    for asked, characters, loaded, calls in map(json.loads, said.splitlines()):
        assert characters > 200, asked
        assert loaded == [], asked
        assert calls < 900_000, asked  # 540,000 of the first, with its imports; Hydra's own page takes 1,500,000
    assert len(said.splitlines()) == len(ASKED)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("door", "words"), [("train", ["lora.rank=3", "model=tiny", "name=河"]), ("judge", ["samples=x"])]
)
def test_help_is_the_page_that_hydra_would_show(door: str, words: list[str], tmp_path: Path) -> None:
    def help_page(*words: str) -> str:
        return run_command("-m", f"harness.{door}", *words, folder=tmp_path, check=True).stdout

    assert help_page("-h", *words) == help_page(*words, "--help", "--multirun")  # with that, it is Hydra's own


def test_help_for_a_group_option_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    for words in (["--help", "model=tny"], ["lora.rnk=3", "-h"]):
        asked = run_command("-m", "harness.train", *words, folder=tmp_path)
        assert asked.returncode == 1 and asked.stdout == ""
        assert asked.stderr.startswith("error: ") and asked.stderr.count("\n") == 1
