"""Replies that were paid for, kept by what was asked: an SQLite file that several processes may share."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any


class ReplyCache:
    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        with closing(self._open()) as database, database:
            database.execute("CREATE TABLE IF NOT EXISTS replies (key TEXT PRIMARY KEY, reply TEXT NOT NULL)")

    def get(self, key: str) -> dict[str, Any] | None:
        with closing(self._open()) as database:
            found = database.execute("SELECT reply FROM replies WHERE key = ?", (key,)).fetchone()
        return None if found is None else dict(json.loads(found[0]))

    def put(self, key: str, reply: dict[str, Any]) -> None:
        with closing(self._open()) as database, database:
            database.execute("INSERT OR REPLACE INTO replies VALUES (?, ?)", (key, json.dumps(reply)))

    def _open(self) -> sqlite3.Connection:
        return sqlite3.connect(self._path, timeout=30)
