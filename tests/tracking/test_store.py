"""Tracking stores that are missing, damaged, or begun by several at once."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from harness.config.schema import TrackingConfig
from harness.errors import HarnessError
from harness.tracking.database import make_database
from harness.tracking.store import open_store


def test_processes_that_start_at_once_on_a_missing_database_all_succeed(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'new' / 'mlflow.db'}"
    code = (
        "from pathlib import Path; from harness.config.schema import TrackingConfig;"
        "from harness.tracking.database import make_database; from harness.tracking.store import open_store;"
        f"make_database(Path({str(tmp_path / 'new' / 'mlflow.db')!r}), Path({str(tmp_path / 'cache')!r}));"
        f"open_store(TrackingConfig(uri={uri!r})).experiment_id('same')"
    )
    processes = [subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path) for _ in range(3)]
    assert [process.wait() for process in processes] == [0, 0, 0]
    with sqlite3.connect(tmp_path / "new" / "mlflow.db") as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "new"], "nothing in the working directory"


@pytest.mark.parametrize(
    ("uri", "complaint"),
    [
        ("mlruns", "must be a URI such as"),
        ("sqlite:///relative/mlflow.db", "must hold an absolute path"),
    ],
)
def test_a_store_that_depends_on_the_working_directory_is_refused(uri: str, complaint: str) -> None:
    with pytest.raises(HarnessError) as caught:
        open_store(TrackingConfig(uri=uri))
    assert complaint in str(caught.value)


def test_a_damaged_database_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_bytes(b"this is no database" * 100)
    with pytest.raises(HarnessError, match="cannot be opened: ") as caught:
        open_store(TrackingConfig(uri=f"sqlite:///{tmp_path / 'mlflow.db'}"))
    assert "\n" not in str(caught.value)


def _default_artifacts(database: Path) -> str:
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        (place,) = connection.execute("SELECT artifact_location FROM experiments WHERE experiment_id = 0").fetchone()
    return str(place)


def test_a_new_database_is_a_copy_of_an_empty_one_with_its_artifacts_beside_it(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    make_database(tmp_path / "first" / "mlflow.db", cache)
    (empty,) = cache.iterdir()
    for name in ("first", "second"):
        make_database(tmp_path / name / "mlflow.db", cache)
        assert _default_artifacts(tmp_path / name / "mlflow.db") == (tmp_path / name / "artifacts/Default").as_uri()
        assert not list((tmp_path / name).glob(".new*"))
    empty.write_bytes(b"this is no database" * 100)
    make_database(tmp_path / "third" / "mlflow.db", cache)
    assert _default_artifacts(tmp_path / "third" / "mlflow.db").endswith("/third/artifacts/Default")
    assert empty.read_bytes()[:15] == b"SQLite format 3"
