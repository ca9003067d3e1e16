"""Texts of several adapters on the same prompts, next to one another: in the terminal and as a page."""

from collections.abc import Sequence
from html import escape

from rich.console import Console
from rich.table import Table

from harness.console.html import html_page, paragraphs, table
from harness.sampling.samples import Planned, Sample

Row = tuple[str, str, int]  # theme, variant, index


def in_terminal(planned: Sequence[Planned], samples: Sequence[Sample]) -> None:
    """A column for each adapter, a row for each prompt; on stdout."""
    columns, rows = _laid_out(planned, samples)
    shown = Table(show_lines=True)
    for name in ["prompt", *columns]:
        shown.add_column(name, overflow="fold")
    for row, texts in rows.items():
        shown.add_row(_prompt(row, rows), *texts)
    Console(highlight=False, markup=False).print(shown)


def as_page(planned: Sequence[Planned], samples: Sequence[Sample]) -> str:
    columns, rows = _laid_out(planned, samples)
    first = samples[0]
    said = [
        f"{len(rows)} prompts, {len(columns)} adapters or scales on {first.base}; temperature {first.temperature:g}, "
        f"top_p {first.top_p:g}, at most {first.max_tokens} tokens. Each row was written with the same seed."
    ]
    body = [[_prompt(row, rows), *texts] for row, texts in rows.items()]
    parts = [f"<h1>{escape(' | '.join(columns))}</h1>", paragraphs(said), table(["prompt", *columns], body, "texts")]
    return html_page("Side by side", parts)


def _laid_out(planned: Sequence[Planned], samples: Sequence[Sample]) -> tuple[list[str], dict[Row, list[str]]]:
    """The adapters' names, and for each prompt what each of them wrote."""
    texts = {entry.id: entry.text for entry in samples}
    columns = list(dict.fromkeys(each.origin for each in planned))
    rows: dict[Row, list[str]] = {}
    for each in planned:
        rows.setdefault((each.theme, each.variant, each.index), [""] * len(columns))
        rows[each.theme, each.variant, each.index][columns.index(each.origin)] = texts[each.id]
    return [origin.name for origin in columns], rows


def _prompt(row: Row, rows: dict[Row, list[str]]) -> str:
    """The theme, and what tells it from the other rows."""
    theme, variant, index = row
    more = [variant] if len({other for _, other, _ in rows}) > 1 else []
    more += [f"#{index + 1}"] if len({other for _, _, other in rows}) > 1 else []
    return f"{theme} ({', '.join(more)})" if more else theme
