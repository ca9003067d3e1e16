"""The file of a review: SQLite, events that are only added, each on the disk before it is acknowledged.

Knows how an event is stored. Does not know what follows from it. One process holds the file at a time.
"""

import json
import secrets
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from harness.errors import DamagedError, HarnessError, WriteError
from harness.reviewing.standing import Event, Said, Shown
from harness.reviewing.texts import Text

_VERSION = 1
_TABLES = {"about", "texts", "events", "told"}
_SCHEMA = """
CREATE TABLE IF NOT EXISTS about (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS texts (
  key TEXT PRIMARY KEY, sample TEXT NOT NULL, theme TEXT NOT NULL, text TEXT NOT NULL, list TEXT NOT NULL,
  record TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS events (
  number INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, reviewer TEXT NOT NULL, item TEXT NOT NULL,
  revision INTEGER NOT NULL, request TEXT NOT NULL, shown TEXT NOT NULL, said TEXT, undoes INTEGER,
  UNIQUE (reviewer, item, revision), UNIQUE (reviewer, request));
CREATE TABLE IF NOT EXISTS told (text TEXT, reviewer TEXT, number INTEGER NOT NULL, PRIMARY KEY (text, reviewer));
CREATE TRIGGER IF NOT EXISTS events_stay BEFORE UPDATE ON events BEGIN SELECT RAISE(ABORT, 'events stay'); END;
CREATE TRIGGER IF NOT EXISTS events_remain BEFORE DELETE ON events BEGIN SELECT RAISE(ABORT, 'events stay'); END;
"""


class Events:
    """`secret`: of this review, made once; what keys of items are made with."""

    def __init__(self, file: Path, *, patience: float = 5.0) -> None:
        """`patience`: seconds, with another program that holds the file.

        Raises:
            HarnessError: when the file cannot be written, or is something else.
        """
        self.file = file
        self._guard = threading.Lock()  # the page's thread and the one that tells MLflow
        try:
            self._database = sqlite3.connect(file, timeout=patience, isolation_level=None, check_same_thread=False)
            self._open()
        except sqlite3.Error as error:
            raise HarnessError(
                f"{file} cannot be used for decisions: {error}; see that it may be written, or move it away"
            ) from error

    def _open(self) -> None:
        self._refuse_others()
        # no write-ahead log: a copy of the one file has all; and on the disk also when the power is cut
        self._database.execute("PRAGMA journal_mode = DELETE")
        self._database.execute("PRAGMA synchronous = EXTRA")
        self._database.execute("PRAGMA fullfsync = ON")  # macOS keeps a plain fsync in the drive
        # all or nothing of it: a kill leaves no file that is neither empty nor ours
        self._database.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version = {_VERSION}; COMMIT")
        made = ("secret", secrets.token_hex(16))
        self._database.execute("INSERT OR IGNORE INTO about VALUES (?, ?)", made)
        found = self._database.execute("SELECT value FROM about WHERE name = 'secret'").fetchone()
        self.secret = str(found[0])

    def _refuse_others(self) -> None:
        """Before anything is written: a database of something else stays as it is."""
        version = self._database.execute("PRAGMA user_version").fetchone()[0]
        tables = {name for (name,) in self._database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if tables if version == 0 else not tables >= _TABLES:
            raise HarnessError(f"{self.file} is a database of something else; move it away, or copy the samples")
        if version > _VERSION:
            raise HarnessError(f"{self.file} was written by a newer version ({version}); use that one")

    def close(self) -> None:
        with self._guard:
            self._database.close()

    def all(self) -> list[Event]:
        """In order.

        Raises:
            DamagedError: when the file no longer says what was saved.
        """
        asked = "SELECT number, at, reviewer, item, revision, request, shown, said, undoes FROM events ORDER BY number"
        try:
            with self._guard:
                rows = self._database.execute(asked).fetchall()
            return [_event(row) for row in rows]
        except (sqlite3.Error, ValueError, KeyError, TypeError) as error:
            raise DamagedError(self.file, f"cannot be read any more ({error})", "put back a copy of it") from error

    def add(
        self,
        *,
        reviewer: str,
        item: str,
        revision: int,
        request: str,
        shown: Shown,
        texts: Iterable[Text],
        said: Said | None,
        undoes: int | None = None,
    ) -> Event:
        """On the disk when this returns. The texts are kept with it, for their file may go.

        Raises:
            WriteError: when it could not be saved; nothing of it was.
        """
        at = time.time()
        values = (at, reviewer, item, revision, request, _json(asdict(shown)), said and _json(asdict(said)), undoes)
        with self._writing() as database:
            database.executemany(
                "INSERT OR IGNORE INTO texts VALUES (?, ?, ?, ?, ?, ?)",
                [(each.key, each.sample, each.theme, each.text, each.group, _json(each.record)) for each in texts],
            )
            added = database.execute(
                "INSERT INTO events (at, reviewer, item, revision, request, shown, said, undoes) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                values,
            )
            number = added.lastrowid
        assert number is not None
        return Event(
            number=number,
            at=at,
            reviewer=reviewer,
            item=item,
            revision=revision,
            request=request,
            shown=shown,
            said=said,
            undoes=undoes,
        )

    def texts(self) -> dict[str, Text]:
        """All that something was said of, by key."""
        with self._guard:
            rows = self._database.execute("SELECT key, sample, theme, text, list, record FROM texts").fetchall()
        return {
            key: Text(key=key, sample=sample, theme=theme, text=text, group=group, record=json.loads(record))
            for key, sample, theme, text, group, record in rows
        }

    def told(self) -> dict[tuple[str, str], int]:
        """The number of the event up to which MLflow knows of a text and a person."""
        with self._guard:
            rows = self._database.execute("SELECT text, reviewer, number FROM told").fetchall()
        return {(text, reviewer): number for text, reviewer, number in rows}

    def mark_told(self, text: str, reviewer: str, number: int) -> None:
        with self._writing() as database:
            database.execute("INSERT OR REPLACE INTO told VALUES (?, ?, ?)", (text, reviewer, number))

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction: all of it or nothing."""
        with self._guard:
            try:
                self._database.execute("BEGIN IMMEDIATE")
                yield self._database
                self._database.execute("COMMIT")
            except BaseException as error:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                if isinstance(error, sqlite3.Error):
                    raise WriteError(
                        f"{self.file} cannot be written: {error}; make room, or see that it may be written"
                    ) from error
                raise


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value)  # in ASCII: half a pair of UTF-16 stays as it is


def _event(row: tuple[Any, ...]) -> Event:
    number, at, reviewer, item, revision, request, shown, said, undoes = row
    of = json.loads(shown)
    return Event(
        number=number,
        at=at,
        reviewer=reviewer,
        item=item,
        revision=revision,
        request=request,
        shown=Shown(**of | {"texts": tuple(of["texts"])}),
        said=None if said is None else Said(**json.loads(said)),
        undoes=undoes,
    )
