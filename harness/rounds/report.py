"""Rounds side by side, in the terminal and as a page, with a page for each round's new lines and what made them.

Knows figures and chains. Computes nothing.
"""

import json
import os
from collections.abc import Sequence
from html import escape
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.table import Table

from harness.console.html import html_page, paragraphs, table
from harness.data.reviews import DECISIONS, Decided, read_review
from harness.files import write_text
from harness.rounds.ancestors import Ancestors
from harness.rounds.chain import said
from harness.rounds.figures import Figures, Lines
from harness.rounds.folder import SPLITS, Place
from harness.rounds.lineage import Lines as Followed
from harness.rounds.state import Round, Rounds
from harness.tracking.store import Store

_COUNTS = ("accepted", "edited", "dropped")
_HEADS = ("round", "trained on", "champion", "score", "on rows", "texts", *_COUNTS, "kept", "judge agrees", "made")


def rounds_table(figures: Sequence[Figures], title: str) -> Table:
    """For the terminal."""
    shown = Table(title=title, title_justify="left", box=SIMPLE_HEAD)
    for head in _HEADS:
        shown.add_column(head, no_wrap=True)
    for each in figures:
        shown.add_row(*_row(each))
    return shown


def write_report(rounds: Rounds, figures: Sequence[Figures]) -> Path:
    """The page of all rounds, which leads to each one's lineage."""
    title = f"Rounds of {rounds.folder.name}"
    notes = ["kept: of those decided on and not skipped, with a 95 % interval."]
    notes.append(
        "judge agrees: of two texts that were decided differently, how often the judge put the better one first."
    )
    if len({each.valid for each in figures}) > 1:
        notes.append("Champions were scored on different rows (on rows): their scores cannot be compared.")
    parts = [f"<h1>{escape(title)}</h1>", table(_HEADS, [_row(each) for each in figures]), paragraphs(notes)]
    parts += [_links(each, rounds.folder) for each in rounds.rounds if each.lineage.exists()]
    write_text(rounds.report, html_page(title, parts))
    return rounds.report


def write_lineage(current: Round, store: Store) -> None:
    """Each line that the round added, with its chain back."""
    ancestors = Ancestors(store)
    title = f"Round {current.number}: where its lines come from"
    parts = [f"<h1>{escape(title)}</h1>"]
    for place in new_lines(current):
        chain = "\n".join(said(Followed(ancestors).line(place)))
        name = f"{place.file.stem}-{place.line}"
        parts.append(f'<h2 id="{escape(name)}">{escape(name.replace("-", ".jsonl:"))}</h2><pre>{escape(chain)}</pre>')
    write_text(current.lineage, html_page(title, parts))


def new_lines(current: Round) -> list[Place]:
    """Those made of samples that this round decided on."""
    pieces = read_review(current.review / DECISIONS)
    decided = {piece.sample for piece in pieces if isinstance(piece, Decided)}
    found = []
    for file in (current.data / name for name in SPLITS):
        lines = file.read_text("utf-8").splitlines() if file.is_file() else []
        for number, line in enumerate(lines, start=1):
            if json.loads(line).get("lineage", {}).get("sample") in decided:
                found.append(Place(file, number))
    return found


def _links(each: Round, folder: Path) -> str:
    lineage = os.path.relpath(each.lineage, folder)
    said = f"round {each.number}: {len(new_lines(each))} new lines, and what made each"
    return f'<p><a href="{escape(lineage)}">{escape(said)}</a></p>'


def _row(each: Figures) -> list[str]:
    return [
        str(each.number),
        _lines(each.trained_on),
        f"{each.champion[:8]}@{each.step}",
        f"{each.label} {each.score:.4f}",
        each.valid[:8],
        "–" if each.texts is None else str(each.texts),
        *(str(getattr(each, name)) if each.decided else "–" for name in _COUNTS),
        *(share.said if share.of else "–" for share in (each.kept, each.agrees)),
        _lines(each.made),
    ]


def _lines(lines: Lines | None) -> str:
    return "–" if lines is None else f"{lines.rows} lines {lines.digest[:8]}"
