"""README.md of a converted model: what it was made from, how, and what that cost; the same on any day.

Knows nothing of how it was measured.
"""

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from harness.files import write_text


def write_card(
    folder: Path, *, title: str, base: str, on_hub: bool, revision: str, table: Sequence[Sequence[str]], on: str
) -> None:
    """`base`: its name, which has no path of this machine in it. `on`: what it was measured on."""
    lines = [
        "---",
        "library_name: mlx",
        "pipeline_tag: text-generation",
        *([f"base_model: {base}"] if on_hub else []),
        "tags:",
        "- mlx",
        "---",
        "",
        f"# {title}",
        "",
        f"Made from {base} (revision {revision}) with mlx-lm {version('mlx-lm')}.",
        "",
        *_markdown(table),
        "",
        f"{on[:1].upper()}{on[1:]}.",
        "",
        "```python",
        "from mlx_lm import generate, load",
        "",
        f'model, tokenizer = load("{title}")',
        "```",
        "",
    ]
    write_text(folder / "README.md", "\n".join(lines))


def _markdown(table: Sequence[Sequence[str]]) -> list[str]:
    head, *rows = table
    return [f"| {' | '.join(cells)} |" for cells in (head, ["---", *["---:"] * (len(head) - 1)], *rows)]
