"""Rows as the model will see them, what it learns marked: the one look that finds most faults of a template.

Knows a folder's lines and a tokenizer; nothing of how the folder was made.
"""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from harness.config.schema import PrepareCommand
from harness.console.progress import Display
from harness.data.dataset import Row, TextEncoder, to_row
from harness.data.lines import first_lines
from harness.data.noticed import noticed
from harness.errors import HarnessError

_OPEN, _CLOSE = "⟦", "⟧"


class Shower(TextEncoder, Protocol):
    """A tokenizer that also says what its tokens are."""

    def decode(self, ids: list[int]) -> str: ...


def show_folder(command: PrepareCommand, display: Display, folder: Path) -> None:
    """Print `command.show` rows of a prepared folder.

    Raises:
        HarnessError: when there is no such folder, or nothing to show it with.
    """
    from harness.models.base import open_base

    if command.show == 0:
        raise HarnessError("give source=…, what is to be prepared; or show=3, to see rows of the folder data.path")
    if command.model.path is None:
        raise HarnessError("show needs a tokenizer, but model.path is null; say model=…")
    print("\n".join(shown(folder, command, open_base(command.model, display).tokenizer)))


def shown(folder: Path, command: PrepareCommand, tokenizer: Shower) -> Iterator[str]:
    """The first rows to train on, each under its place and its length; then what is to be known of their template."""
    limit = command.train.max_seq_length
    for line in itertools.islice(first_lines(folder / "train.jsonl", command.data.labels), command.show):
        row = to_row(line, tokenizer, mask_prompt=command.train.mask_prompt, thinking=command.data.thinking)
        cut = f", cut to {limit}" if len(row.tokens) > limit else ""
        yield f"── {line.place}: {len(row.tokens)} tokens{cut}, {row.targets} learned {_OPEN}so{_CLOSE}"
        yield f"{_marked(row, limit, tokenizer)}\n"
    lines = first_lines(folder / "train.jsonl", command.data.labels)
    yield from (f"warning: {line}" for line in noticed(lines, tokenizer, command.data.thinking))


def _marked(row: Row, limit: int, tokenizer: Shower) -> str:
    pairs = zip(row.tokens[:limit].tolist(), row.learn[:limit].tolist(), strict=True)
    parts = []
    for learned, run in itertools.groupby(pairs, key=lambda pair: bool(pair[1])):
        text = tokenizer.decode([token for token, _ in run])
        parts.append(f"{_OPEN}{text}{_CLOSE}" if learned else text)
    return "".join(parts)
