"""What was read, left out and written, as JSON, as Markdown and as one page: the same figures three times.

The bytes depend on the rows and the configuration alone.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from typing import Any

from harness.console.html import html_page, paragraphs, table
from harness.data.sources.found import Rejected
from harness.files import write_json, write_text
from harness.preparing.figures import SplitFigures, Spread
from harness.preparing.pictures import bars, histogram

JSON, MARKDOWN, PAGE = "report.json", "report.md", "report.html"
_ALIKE = 20  # pairs listed
_REASONS = 12  # of a kind


@dataclass(frozen=True, kw_only=True)
class Reason:
    """Why pieces are no rows: how many, and where the first of them stands and how it begins."""

    kind: str
    reason: str
    rows: int
    origin: str
    start: str


@dataclass(frozen=True, kw_only=True)
class Report:
    """`tokenizer`: of which base; None where nothing counted tokens. `reasons`: of each kind, those of most rows first.
    `alike`: pairs of near duplicates."""

    title: str
    tokenizer: str | None
    splits: dict[str, SplitFigures]
    rejected: dict[str, int]
    reasons: list[Reason]
    examples: list[Rejected]
    alike: list[tuple[str, str]]
    warnings: list[str]

    def write(self, folder: Path) -> None:
        write_json(folder / JSON, self._values())
        write_text(folder / MARKDOWN, _markdown(self))
        write_text(folder / PAGE, _page(self))

    def _values(self) -> dict[str, Any]:
        return asdict(self) | {"alike": self.alike[:_ALIKE], "alike_pairs": len(self.alike)}


@dataclass(frozen=True)
class _Table:
    title: str
    heads: list[str]
    rows: list[list[str]]


def _tables(report: Report) -> list[_Table]:
    names = list(report.splits)
    tables = [_Table("Rows", ["", *names], _figures(list(report.splits.values())))]
    labels = sorted({label for each in report.splits.values() for label in each.labels})
    if labels:
        counts = [[label, *(str(each.labels.get(label, 0)) for each in report.splits.values())] for label in labels]
        tables.append(_Table("Labels", ["label", *names], counts))
    if report.rejected:
        tables.append(_Table("Left out", ["why", "rows"], [[k, str(n)] for k, n in report.rejected.items()]))
        heads = ["why", "reason", "rows", "the first", "how it begins"]
        tables.append(_Table("Left out, by reason", heads, _reasons(report)))
        examples = [[each.kind, each.origin, each.reason, each.start] for each in report.examples]
        tables.append(_Table("The first of each", ["why", "where", "what is wrong", "how it begins"], examples))
    if report.alike:
        tables.append(
            _Table(f"Near duplicates, {len(report.alike)}", ["row", "near"], [*map(list, report.alike[:_ALIKE])])
        )
    unit = "tokens" if report.tokenizer else "characters"
    longest = [[name, origin, str(size)] for name, each in report.splits.items() for origin, size in each.longest]
    tables.append(_Table("The longest rows", ["split", "where", unit], longest))
    return tables


def _reasons(report: Report) -> list[list[str]]:
    """The most frequent ones of each kind, and the rest together."""
    lines = []
    for kind in report.rejected:
        of_kind = [each for each in report.reasons if each.kind == kind]
        for each in of_kind[:_REASONS]:
            lines.append([kind, each.reason, str(each.rows), each.origin, each.start])
        if rest := of_kind[_REASONS:]:
            count = sum(each.rows for each in rest)
            lines.append([kind, f"{len(rest)} other reasons", str(count), "rejected.jsonl", ""])
    return lines


def _figures(splits: Sequence[SplitFigures]) -> list[list[str]]:
    def line(name: str, values: Sequence[object]) -> list[list[str]]:
        return [[name, *("–" if value is None else str(value) for value in values)]]

    lines = line("rows", [each.rows for each in splits]) + line("groups", [each.groups for each in splits])
    if any(each.tokens for each in splits):
        lines += _spread("tokens", [each.tokens for each in splits])
        lines += line("tokens learned", [each.learned for each in splits])
        lines += line("rows longer than train.max_seq_length", [each.cut for each in splits])
        lines += line("learned tokens beyond it", [each.lost for each in splits])
        shares = [None if each.padding is None else f"{each.padding:.1%}" for each in splits]
        lines += line("padding at train.batch_size", shares)
    lines += _spread("characters", [each.characters for each in splits])
    return lines + line("updates an epoch", [each.updates for each in splits])


def _spread(name: str, spreads: Sequence[Spread | None]) -> list[list[str]]:
    parts = [("", "total"), (", least", "least"), (", median", "median"), (", 90 %", "p90"), (", 99 %", "p99")]
    return [
        [f"{name}{said}", *("–" if each is None else str(getattr(each, part)) for each in spreads)]
        for said, part in [*parts, (", most", "most")]
    ]


def _opening(report: Report) -> list[str]:
    read = sum(each.rows for each in report.splits.values()) + sum(report.rejected.values())
    counts = ", ".join(f"{name} {each.rows}" for name, each in report.splits.items())
    by = (
        f"Tokens are counted by {report.tokenizer}."
        if report.tokenizer
        else "Tokens are not counted: no base is named."
    )
    return [f"{read} read; {counts}; {sum(report.rejected.values())} left out. {by}"]


def _markdown(report: Report) -> str:
    parts = [f"# {report.title}", *_opening(report)]
    parts += ["\n".join(f"- **warning**: {each}" for each in report.warnings)] if report.warnings else []
    for each in _tables(report):
        lines = [each.heads, ["---"] * len(each.heads), *each.rows]
        parts += [f"## {each.title}", "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)]
    return "\n\n".join(parts) + "\n"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def _page(report: Report) -> str:
    parts = [f"<h1>{escape(report.title)}</h1>", paragraphs(_opening(report))]
    parts += [paragraphs([f"Warning: {each}" for each in report.warnings])]
    parts += _pictures(report)
    for each in _tables(report):
        kind = "texts" if "begins" in each.heads[-1] else "numbers"
        parts += [f"<h2>{escape(each.title)}</h2>", table(each.heads, each.rows, kind)]
    return html_page(report.title, parts)


def _pictures(report: Report) -> list[str]:
    parts = []
    for name, each in report.splits.items():
        spread, unit = (each.tokens, "tokens") if each.tokens else (each.characters, "characters")
        if spread is not None:
            parts += [f"<h2>{escape(name)}: {unit} of a row</h2>", histogram(spread, unit)]
        if each.labels:
            parts += [f"<h2>{escape(name)}: labels</h2>", bars(each.labels)]
    return parts
