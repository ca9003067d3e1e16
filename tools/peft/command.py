"""Try PEFT's format on every architecture that both libraries have, or some, and write docs/peft.md.

Knows nothing of what is tried: that is check.py's.
"""

import sys
import tempfile
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path

import click
import mlx.core as mx
import torch
import transformers
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from harness.config.paths import ROOT
from harness.errors import reason
from harness.models.peft_architectures import AGREEING, NAMINGS, REFUSED, checked_naming
from harness.models.peft_names import Naming
from tools.architectures import tiny
from tools.peft import table
from tools.peft.check import check

_PAGE = ROOT / "docs" / "peft.md"
NAMES = sorted(AGREEING | NAMINGS.keys())
# both libraries know them, but they are refused: no tiny model here is one of both
UNTRIED = sorted((set(tiny.MODELLED) & set(CONFIG_MAPPING)) - set(NAMES) - REFUSED.keys())


@click.command(help="Hold PEFT's format against peft on tiny random models, and write docs/peft.md.")
@click.option("--only", multiple=True, metavar="NAME", help="Try these, and show them; docs/peft.md stays as it is.")
def main(only: tuple[str, ...]) -> None:
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.set_num_threads(1)
    mx.disable_compile()  # each model is used once
    rows = []
    for row in tried(only or NAMES):
        click.echo(f"{row.name}: {row.lora} {row.dora} {row.why}")
        rows.append(row)
    if not only:
        versions = {name: version(name) for name in ("mlx-lm", "peft", "transformers")}
        _PAGE.write_text(table.page(rows, REFUSED, UNTRIED, versions), encoding="utf-8")
    said = [f"{row.name} is converted, but: {row.why}" for row in rows if not row.well]
    click.echo("\n".join(said))
    sys.exit(1 if said else 0)


def tried(names: Sequence[str]) -> Iterator[table.Row]:
    for name in names:
        (lora, why), (dora, why_not) = _outcome(name, "lora"), _outcome(name, "dora")
        notes = dict.fromkeys(note for note in (why, why_not, *_left(checked_naming(name))) if note)
        yield table.Row(name=name, lora=lora, dora=dora, why="; ".join(notes))


def _left(naming: Naming) -> Iterator[str]:
    if naming.without:
        yield f"without {', '.join(sorted(naming.without))}, which peft refuses"
    if naming.experts:
        yield "DoRA without experts and their router"


def _outcome(name: str, kind: str) -> tuple[str, str]:
    """A cell of the table, and why it is not yes."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            found = check(name, Path(folder), kind=kind)
        except Exception as error:  # of any of four libraries
            return table.NO, " ".join(reason(error).replace(folder, "…").split())[:160]
    if found.agrees:
        return table.YES, ""
    if found.as_bare:
        return table.AS_BARE, f"the two models differ by {found.bare:.0e} without an adapter too"
    return table.NO, f"logits differ by {found.adapted:.0e}"
