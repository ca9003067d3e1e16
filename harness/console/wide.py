"""A table for a terminal, as wide as it needs. Knows nothing of what is in it."""

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table


def print_wide(table: Table) -> None:
    """As wide as it needs: a narrow terminal wraps, but names and ids stay whole and can be copied."""
    console = Console(highlight=False)
    console.width = max(console.width, Measurement.get(console, console.options.update(max_width=999), table).maximum)
    console.print(table)
