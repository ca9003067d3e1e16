"""MLflow's SQLite database: made once, from an empty one that is kept, for its migrations take seconds.

Knows nothing of what is kept in it.
"""

import shutil
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import quote

import mlflow
from mlflow import MlflowClient

from harness.config.paths import MLRUNS
from harness.errors import WriteError
from harness.files import make_folder, one_at_a_time, write_whole


def database_of(uri: str) -> Path:
    return Path(uri.removeprefix("sqlite:///"))


def can_write(database: Path, seconds: float) -> bool:
    """Whether it can be written within that time."""
    try:
        connection = sqlite3.connect(f"file:{quote(str(database))}?mode=rw", timeout=seconds, uri=True)
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
        finally:
            connection.close()
    except sqlite3.Error:
        return False
    return True


def make_database(database: Path, cache: Path = MLRUNS / "cache") -> None:
    """Make MLflow's SQLite database, if it is not there yet, from an empty one in `cache`: MLflow takes seconds for it.

    Four processes that start on a missing one at once break its migration: one makes it, the rest wait.
    """
    if database.exists():
        return
    make_folder(database.parent)
    with one_at_a_time(database.with_name(f".{database.name}.lock")):
        if not database.exists():
            _create(database, cache)


def _create(database: Path, cache: Path) -> None:
    empty = cache / f"empty-mlflow-{mlflow.__version__}.db"
    building = database.with_name(f".new-{database.name}")
    try:
        shutil.copyfile(empty, building)
        _place_artifacts(building, database.parent)
    except (OSError, sqlite3.DatabaseError):  # not there yet, or damaged
        _migrate(building)
        with suppress(WriteError):
            write_whole(empty, lambda temporary: shutil.copyfile(building, temporary))
        _place_artifacts(building, database.parent)
    building.replace(database)
    for leftover in database.parent.glob(f".new-{database.name}-*"):
        leftover.unlink()


def _migrate(building: Path) -> None:
    building.unlink(missing_ok=True)
    MlflowClient(tracking_uri=f"sqlite:///{building}").search_experiments(max_results=1)
    with closing(sqlite3.connect(building)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.execute("PRAGMA journal_mode=WAL")  # persists; halves the cost of a write


def _place_artifacts(building: Path, home: Path) -> None:
    """Those of MLflow's own first experiment lie beside the database too, and not in today's working directory."""
    with closing(sqlite3.connect(building)) as connection, connection:
        place = (home / "artifacts" / "Default").as_uri()
        connection.execute("UPDATE experiments SET artifact_location = ? WHERE experiment_id = 0", [place])
