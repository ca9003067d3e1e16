"""The check of a machine, as a person runs it."""

import re
from pathlib import Path

import pytest

from harness.config.schema import TrackingConfig
from harness.tracking.store import open_store
from tests.commands import Ended, Start, run_command, start_command
from tests.conftest import QUICK


def _doctor(home: Path, *overrides: str, start: Start = run_command) -> Ended:
    words = [*QUICK, f"tracking.uri=sqlite:///{home / 'mlflow.db'}", *overrides]
    return start("-m", "harness.doctor", *words, folder=home)


def test_the_check_says_what_a_run_would_need_and_take_and_tracks_nothing(tmp_path: Path) -> None:
    done = _doctor(tmp_path, start=start_command)
    assert done.returncode == 0, done.stderr
    for expected in (
        r"device +.*Device\(",
        r"memory +[\d.]+ GB for MLX, [\d.]+ GB of it free now",
        r"versions +python 3\.\d+\.\d+, mlx [\d.]+, mlx-lm ",
        r"tracking +sqlite:.* answers; \d+ GB free",
        r"base +builtin:tiny loads: 8 blocks",
        r"data +train \d+ rows, valid 4 rows",
        r"need +training needs about \d+ MB of memory \(weights \d+ MB, adapter and optimizer \d+ MB",
        r"need +sampling needs about \d+ MB",
        r"engine +all 8 blocks in every step, the head on learned positions only; loss and gradients agree",
        r"speed +[\d.]+ s an update, \d+ learned tokens a second",
        r"writing +\d+ tokens a second",
        r"whole run +about .*: 6 updates, validations, 1 samples",
        r"exact +the same updates twice ended in the same bytes",
    ):
        assert re.search(expected, done.stdout), f"{expected} in\n{done.stdout}"
    store = open_store(TrackingConfig(uri=f"sqlite:///{tmp_path / 'mlflow.db'}"))
    assert [experiment.name for experiment in store.client.search_experiments()] == ["Default"]
    assert not store.runs.exists()


@pytest.mark.parametrize(
    ("override", "complaint"),
    [
        (
            "model.path=./nowhere",
            "error: model.path=./nowhere must be builtin:small, builtin:tiny, a folder or a hub name",
        ),
        ("tracking.uri=http://127.0.0.1:9", "error: the tracking server http://127.0.0.1:9 does not answer"),
        ("data.path=nowhere", "error: data.path=nowhere must be a folder"),
    ],
)
def test_what_would_keep_a_run_from_working_is_one_line(tmp_path: Path, override: str, complaint: str) -> None:
    done = _doctor(tmp_path, override)
    assert done.returncode == 1 and complaint in done.stderr
    assert "Traceback" not in done.stderr
