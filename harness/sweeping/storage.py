"""Where studies are kept, a file here or a database for several machines, and how one process at a time changes one."""

import hashlib
import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import optuna
import sqlalchemy
from optuna.storages import BaseStorage, RDBStorage
from sqlalchemy.pool import NullPool

from harness.errors import HarnessError
from harness.files import one_at_a_time
from harness.sweeping.journal_file import keep_intact_part, open_journal

_POSTGRES = ("postgresql", "postgres")


@dataclass(frozen=True)
class Studies:
    """`alone`: what is inside happens to a study, by its name, in one process at a time, wherever they run.

    `shared`: by machines, so that a process id may be another's. `uri` is for people: what optuna-dashboard takes.
    `keep_intact_part`: where a study is damaged, what is intact takes its place; gives the file that is kept aside.
    """

    uri: Callable[[str], str]
    storage: Callable[[str], BaseStorage]
    alone: Callable[[str], AbstractContextManager[None]]
    names: Callable[[], list[str]]
    keep_intact_part: Callable[[str], Path | None]
    shared: bool = False


def open_studies(url: str | None, folder: Path) -> Studies:
    """A journal for each study in `folder`, or a database.

    Raises:
        HarnessError: for a database that cannot be used, with the next step.
    """
    optuna.logging.set_verbosity(logging.WARNING)
    folder.mkdir(parents=True, exist_ok=True)
    return _in_files(folder) if url is None else _in_database(url, folder)


def _in_files(folder: Path) -> Studies:
    def journal(name: str) -> Path:
        return folder / f"{name}.journal"

    return Studies(
        uri=lambda name: str(journal(name)),
        storage=lambda name: open_journal(journal(name)),
        alone=lambda name: one_at_a_time(folder / f"{name}.lock"),
        names=lambda: [path.stem for path in sorted(folder.glob("*.journal"), key=lambda path: path.stat().st_mtime)],
        keep_intact_part=lambda name: keep_intact_part(journal(name)),
    )


def _in_database(url: str, folder: Path) -> Studies:
    parsed = _parsed(url)
    try:
        engine = sqlalchemy.create_engine(parsed, poolclass=NullPool)
        if parsed.get_backend_name() == "postgresql":
            alone = _by_postgres(engine)
        else:
            alone = lambda name: one_at_a_time(folder / f"{name}.lock")  # noqa: E731
        with alone("tables"):  # two that make them at once would fail
            storage = RDBStorage(parsed.render_as_string(), engine_kwargs={"poolclass": NullPool})
    except (sqlalchemy.exc.SQLAlchemyError, ImportError) as error:
        line = str(error).strip().splitlines()[0]
        step = "see that it runs, PGUSER and PGPASSWORD are set, and pip install 'lora-harness[postgresql]' was done"
        raise HarnessError(f"sweep.storage={url} cannot be opened: {line}; {step}") from error
    return Studies(
        uri=lambda name: url,
        storage=lambda name: storage,
        alone=alone,
        names=lambda: [each.study_name for each in optuna.get_all_study_summaries(storage)],
        keep_intact_part=lambda name: None,
        shared=parsed.get_backend_name() == "postgresql",
    )


def _parsed(url: str) -> sqlalchemy.URL:
    try:
        parsed = sqlalchemy.make_url(url)
    except sqlalchemy.exc.ArgumentError as error:
        raise _unknown(url) from error
    if parsed.password is not None:
        raise HarnessError(
            "sweep.storage must not hold a password, it is written into every run; set PGPASSWORD instead"
        )
    if parsed.drivername in _POSTGRES:
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.get_backend_name() not in ("postgresql", "sqlite"):
        raise _unknown(url)
    if parsed.get_backend_name() == "sqlite" and not Path(parsed.database or "").is_absolute():
        raise HarnessError(f"sweep.storage={url} must hold an absolute path, as sqlite:////folder/studies.db")
    return parsed


def _unknown(url: str) -> HarnessError:
    return HarnessError(
        f"sweep.storage={url} must be postgresql://<user>@<host>/<database>, sqlite:////<folder>/<file>.db, or null "
        "for files in mlruns/studies"
    )


def _by_postgres(engine: sqlalchemy.Engine) -> Callable[[str], AbstractContextManager[None]]:
    """A lock that the server lets go of when the connection is lost, however that comes."""

    @contextmanager
    def alone(name: str) -> Iterator[None]:
        key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)
        with engine.connect() as connection:
            connection.execute(sqlalchemy.text("SELECT pg_advisory_lock(:key)"), {"key": key})
            try:
                yield
            finally:
                connection.execute(sqlalchemy.text("SELECT pg_advisory_unlock(:key)"), {"key": key})

    return alone
