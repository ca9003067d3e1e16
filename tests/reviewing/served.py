"""The review command in a process of its own, as users start it, that tests ask, kill and start again."""

import json
import re
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

from harness.config.paths import ROOT


class Server:
    """The command as users start it, on a port of its own, which it has again after it was killed."""

    def __init__(self, file: Path, *words: str) -> None:
        self.file, self.port, self._words = file, 0, words
        self.start()

    def start(self) -> None:
        words = [sys.executable, "-m", "harness.review", str(self.file), "--port", str(self.port), *self._words]
        self._process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if found := re.search(r"http://127\.0\.0\.1:(\d+)/", line):
                self.port = int(found[1])
                return
        raise AssertionError("the server did not start")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(timeout=20)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def close(self) -> None:
        if self._process.poll() is None:
            self.kill()

    def end(self) -> str:
        self._process.send_signal(signal.SIGINT)
        said, _ = self._process.communicate(timeout=60)
        assert self._process.returncode == 0
        return said

    def decisions(self, reviewer: str) -> list[tuple[str, str | None]]:
        """Of this person, in order: item and decision; None for an undoing."""
        with sqlite3.connect(f"file:{self.file.with_suffix('.review.sqlite')}?mode=ro", uri=True) as database:
            rows = database.execute("SELECT item, said FROM events WHERE reviewer = ? ORDER BY number", [reviewer])
            found = [(item, None if said is None else json.loads(said)["decision"]) for item, said in rows]
        database.close()
        return found
