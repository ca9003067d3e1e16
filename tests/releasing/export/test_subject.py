"""What a card says of where things lie: names, and no path of the machine that wrote it."""

from pathlib import Path

import pytest

from harness.releasing.export.subject import without_paths


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("of /home/someone/data.jsonl, 3 rows", "of data.jsonl, 3 rows"),
        ("sqlite:////tmp/a/mlflow.db and/or 1/2", "sqlite:///mlflow.db and/or 1/2"),
        ("see https://a.org/b/c.", "see https://a.org/b/c."),
        ("of /Users/An Na/my poems/data.jsonl", "of my poems/data.jsonl"),
    ],
)
def test_paths_become_names_and_addresses_stay(said: str, left: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "home", lambda: Path("/Users/An Na"))
    assert without_paths(said) == left
