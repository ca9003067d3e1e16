"""What the processes of a sweep tell the one that watches over them, and the table that it makes of it in a terminal.

Knows nothing of studies: a row is a trial by its place, with what was last told of it.
"""

import json
import math
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from harness.config.objective import Objective
from harness.console.progress import duration
from harness.console.worker_environment import BOARD
from harness.sweeping.states import TrialStatus

_ROWS = 12
_ORDER = list(TrialStatus)

Row = dict[str, Any]


class Teller:
    """A process of a sweep's side: what changed, to whoever watches, if anybody does."""

    def __init__(self) -> None:
        self._pipe = int(os.environ[BOARD]) if BOARD in os.environ else None
        self._told: dict[int, Row] = {}

    def tell(self, total: int, rows: Sequence[Row], objective: Objective) -> None:
        """`rows`: place, name, state (a TrialStatus), and what is known of step, value, seconds.

        `objective`: what a value is of, and whether more of it is better.
        """
        changed = [row for row in rows if self._told.get(row["place"]) != row]
        if self._pipe is None or not changed:
            return
        self._told |= {row["place"]: row for row in changed}
        news = {"total": total, "rows": changed, "label": objective.label, "maximize": objective.maximize}
        line = memoryview((json.dumps(news) + "\n").encode())
        try:
            while line:
                line = line[os.write(self._pipe, line) :]
        except OSError:  # whoever watched is gone; that is noticed elsewhere
            self._pipe = None


class Board:
    """The other side. Drawn in a terminal; what is said meanwhile stands above it."""

    def __init__(self, console: Console, workers: int) -> None:
        self._console, self._workers = console, workers
        self._rows: dict[int, Row] = {}
        self._total = 0
        self._label, self._maximize = "", False  # of the value, and whether more of it is better
        self._live: Live | None = None

    def say(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def hear(self, line: str) -> None:
        told: Mapping[str, Any] = json.loads(line)
        self._total, self._label, self._maximize = told["total"], told["label"], told["maximize"]
        now = time.monotonic()
        for row in told["rows"]:
            former = self._rows.get(row["place"], {})
            since = former.get("since", now) if row["state"] == TrialStatus.RUNNING else None
            self._rows[row["place"]] = {**former, **row, "since": since}  # what it was when last heard of
        if self._live is not None:
            self._live.update(self._drawn())

    @contextmanager
    def shown(self) -> Iterator[None]:
        with Live(console=self._console, refresh_per_second=2, get_renderable=self._drawn) as self._live:
            yield

    def _drawn(self) -> Group | Text:
        if not self._rows:
            return Text("")
        table = Table(box=SIMPLE_HEAD)
        for label in ("trial", "", "state", "update", self._label, "time"):
            table.add_column(label, justify="left" if label in ("", "state") else "right", no_wrap=True)
        for row in self._chosen():
            seconds = row.get("seconds") or (time.monotonic() - row["since"] if row["since"] else 0.0)
            value = row.get("value")
            shown = "–" if value is None else f"{value:.4f}"
            table.add_row(
                str(row["place"]), row["name"], row["state"], str(row.get("step") or "–"), shown, duration(seconds)
            )
        return Group(table, Text(self._summary()))

    def _chosen(self) -> list[Row]:
        """Those at work, then the best; what does not fit is in the summary."""

        def order(row: Row) -> tuple[int, float]:
            return _ORDER.index(row["state"]), self._worth(row)

        return sorted(self._rows.values(), key=order)[:_ROWS]

    def _worth(self, row: Row) -> float:
        """Less is better; what has no value comes last."""
        value = row.get("value")
        if value is None:
            return math.inf
        return -float(value) if self._maximize else float(value)

    def _summary(self) -> str:
        rows = list(self._rows.values())
        ended = [row for row in rows if row["state"] != TrialStatus.RUNNING]
        counts = {
            state: sum(row["state"] == state for row in ended) for state in (TrialStatus.PRUNED, TrialStatus.FAILED)
        }
        said = [f"{len(ended)} of {self._total} trials done"]
        said += [f"{count} {state}" for state, count in counts.items() if count]
        done = [row for row in ended if row["state"] == TrialStatus.DONE and row.get("value") is not None]
        if done:
            best = min(done, key=self._worth)
            said.append(f"best {best['value']:.4f} by {best['name']}")
        if ended and len(ended) < self._total:
            each = sum(row.get("seconds") or 0.0 for row in ended) / len(ended)
            said.append(f"about {duration(each * (self._total - len(ended)) / self._workers)} left")
        return ", ".join(said)
