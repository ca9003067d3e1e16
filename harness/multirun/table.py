"""Runs as a table in the terminal, with the command that shows them in the MLflow UI."""

import shutil
import sys
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from harness.config.objective import VALID_LOSS, WIN_RATE, Objective
from harness.config.paths import MLRUNS
from harness.config.schema import TrackingConfig
from harness.console.wide import print_wide
from harness.tracking.luck import LEFT_OUT, Luck, left_said, luck_of
from harness.tracking.queries import Finished, get, newest, steered_by, trials
from harness.tracking.store import Store, open_store

_METRICS = {
    VALID_LOSS.name: (VALID_LOSS.label, ".4f"),
    "valid/best_step": ("at update", ".0f"),
    "train/tokens_per_second": ("tok/s", ".0f"),
    "memory/peak_gb": ("peak GB", ".2f"),
    "train/seconds": ("seconds", ".0f"),
}


def print_sweep(sweep_id: str | None, tracking: TrackingConfig) -> None:
    """A sweep's trials, the best first, or a single run; None: the newest of the store."""
    store = open_store(tracking)
    chosen = newest(store) if sweep_id is None else get(store, sweep_id)
    rows = trials(store, chosen) or [chosen]
    by = steered_by(store, chosen)
    luck = luck_of(store, [row.run_id for row in rows if by.name in row.metrics]) if by == VALID_LOSS else None
    print_wide(_table(rows, f"{chosen.name} ({chosen.run_id})", by, luck))
    if luck is not None:
        print(f"the best is {luck.said}" + ("; ≈: may be the best as well" if len(luck.alike) > 1 else ""))
    Console(highlight=False).print(f"Open them in MLflow: {ui_command(store)}", soft_wrap=True)


def ui_command(store: Store) -> str:
    """What opens the MLflow page on this store: a command, or the address of its server."""
    if store.home is None:
        return store.uri
    elsewhere = "" if store.home == MLRUNS else f" --tracking-uri {store.uri}"
    return f"{_python()} -m harness.ui{elsewhere}"


def _python() -> str:
    """What to type for this interpreter: python where that is it, else its path."""
    found = shutil.which("python")
    if found is not None and Path(found).parent == Path(sys.executable).parent:
        return "python"
    here = Path.cwd()
    path = Path(sys.executable)
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def _table(rows: list[Finished], title: str, by: Objective, luck: Luck | None) -> Table:
    """What they are ordered by comes first, under its label. `luck`: of the choice between them."""
    columns = {name: (label, [_shown(row, name, form) for row in rows]) for name, (label, form) in _METRICS.items()}
    if any(row.judged is not None for row in rows):
        columns[WIN_RATE.name] = (WIN_RATE.label, [row.judged or "–" for row in rows])
    if by.name not in columns:
        columns[by.name] = (by.label, [_shown(row, by.name, ".4f") for row in rows])
    label, shown = columns.pop(by.name)
    marked = [each + _mark(row, rows, luck) for each, row in zip(shown, rows, strict=True)]
    columns = {by.name: (label, marked), LEFT_OUT: ("left", [left_said(row.metrics) for row in rows]), **columns}
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD)
    table.add_column("run", no_wrap=True)
    for name, (label, _) in columns.items():
        table.add_column(label, justify="right", no_wrap=name == WIN_RATE.name)
    table.add_column("status")
    table.add_column("id", no_wrap=True)
    for at, row in enumerate(rows):
        table.add_row(row.name, *(of_all[at] for _, of_all in columns.values()), row.status, row.run_id)
    return table


def _mark(row: Finished, rows: list[Finished], luck: Luck | None) -> str:
    """Whether it may be the best though another is lowest; as wide for all."""
    if luck is None or len(luck.alike) < 2:
        return ""
    return " ≈" if row is not rows[0] and row.run_id in luck.alike else "  "


def _shown(row: Finished, name: str, form: str) -> str:
    return format(row.metrics[name], form) if name in row.metrics else "–"
