"""Replies that were paid for, kept by what was asked: an SQLite file that several processes may share."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from harness.errors import HarnessError
from harness.llm.reply import Reply


class ReplyCache:
    """The file and its folder are made when a reply is first put in."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def get(self, key: str) -> Reply | None:
        """None for what was never put in, or cannot be read any more.

        Raises:
            HarnessError: when the file is no database of replies, or cannot be read.
        """
        if not self._path.exists():
            return None
        with self._open() as database:
            found = database.execute("SELECT reply FROM replies WHERE key = ?", (key,)).fetchone()
        try:
            return None if found is None else Reply.from_json(json.loads(found[0]))
        except (ValueError, TypeError, KeyError, RecursionError):
            return None

    def put(self, key: str, reply: Reply) -> None:
        """
        Raises:
            HarnessError: when the file cannot be written.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._open() as database:
            database.execute("INSERT OR REPLACE INTO replies VALUES (?, ?)", (key, json.dumps(reply.to_json())))

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(sqlite3.connect(self._path, timeout=30)) as database, database:
                database.execute("CREATE TABLE IF NOT EXISTS replies (key TEXT PRIMARY KEY, reply TEXT NOT NULL)")
                yield database
        except sqlite3.Error as error:
            raise HarnessError(
                f"{self._path}, the replies that were paid for, cannot be used: {error}; make room, or move it away "
                "if it is damaged: then they are paid for again"
            ) from error
