"""What a model costs and what it is worth: bits, bytes, and its loss on the same rows as another's."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from harness.console.progress import Display
from harness.data.dataset import Row, load_split
from harness.errors import HarnessError
from harness.machine.device import begin_phase, device_memory
from harness.models.base import Base
from harness.models.quantize import bits_per_weight, weight_bytes
from harness.models.reading import check_vocabulary
from harness.releasing.checks.general_text import is_known, passages, rows_of
from harness.releasing.checks.subject import batch_size
from harness.releasing.measured import losses_by_row, mean_loss
from harness.tuning.evaluate import RowLosses

_TOKENS, _GENERAL_TOKENS = 2048, 512  # of a row at most
_COLUMNS = ("", "bits a weight", "size", "loss", "perplexity", "change")


@dataclass(frozen=True)
class Figures:
    """Of one model, `name` to people. `size`: bytes of its weights' files; `losses`: None for a model that does not fit
    in memory.
    """

    name: str
    bits: float
    size: int
    losses: RowLosses | None


def rows_of_data(data: Path | None, base: Base) -> list[Row]:
    """What is measured on: valid.jsonl of a folder, the prompts masked, or for None the general texts that are shipped.

    Raises:
        HarnessError: for a file that is not there, or that this base cannot read.
    """
    if data is None:
        return rows_of(passages(), base.tokenizer, _GENERAL_TOKENS)
    split = load_split(
        data.expanduser(), "valid", base.tokenizer, labels=None, max_seq_length=_TOKENS, mask_prompt=True
    )
    if not split.rows:
        raise HarnessError(f"--data={data} must have rows in valid.jsonl, but has none; give another folder")
    check_vocabulary(split, base)
    return split.rows


def known_of(base: Base, rows: Sequence[Row], figures: Figures) -> tuple[list[Row], Figures]:
    """The rows that the base predicts, with its figures on them: others gain by noise. All where it knows none."""
    losses, vocabulary = figures.losses, base.vocabulary
    if losses is None:
        return list(rows), figures
    known = np.array([is_known(loss, vocabulary) for loss in (losses.sums / losses.targets).tolist()])
    if not known.any():
        return list(rows), figures
    kept = RowLosses(losses.step, losses.lines[known], losses.sums[known], losses.targets[known])
    return [row for row in rows if row.line in set(kept.lines.tolist())], replace(figures, losses=kept)


def measured(base: Base, name: str, rows: Sequence[Row], display: Display) -> Figures:
    """Reads its weights, and gives back their memory."""
    size = sum(file.stat().st_size for file in base.folder.glob("model*.safetensors"))
    bits, losses = bits_per_weight(base.model), None
    if weight_bytes(base.model) > device_memory():
        display.say(f"{name} takes {size_said(size)}, more than fits in memory: its loss is not measured")
    else:
        with display.computing(f"the loss of {name}") as tell:
            losses = losses_by_row(base, rows, batch_size(rows), tell)
    base.let_go()
    begin_phase()
    return Figures(name, bits, size, losses)


def table(first: Figures, others: Sequence[Figures]) -> list[list[str]]:
    """A head and a row for each; the change is against the first."""
    return [list(_COLUMNS), _cells(first, None), *(_cells(each, first) for each in others)]


def measured_on(data: Path | None, rows: Sequence[Row]) -> str:
    """For the line under a table, and under the same table elsewhere: no path of this machine."""
    where = "general texts, prose and code" if data is None else f"valid.jsonl of {data.resolve().name}"
    count = sum(row.targets for row in rows)
    return f"loss in nats a token on {where} ({len(rows)} rows, {count} tokens); ± is the change's standard error"


def caveat(base: Base, first: Figures) -> str:
    """What to say where the base hardly knows what it was measured on; empty where it does."""
    if first.losses is None or is_known(mean_loss(first.losses), base.vocabulary):
        return ""
    return f"{first.name} predicts these rows hardly better than a guess: what bits cost shows on data that it knows"


def size_said(size: int) -> str:
    return f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"


def _cells(one: Figures, before: Figures | None) -> list[str]:
    cells = [one.name, f"{one.bits:.2f}", size_said(one.size)]
    if one.losses is None:
        return [*cells, "–", "–", "–"]
    loss = mean_loss(one.losses)
    perplexity = f"{math.exp(loss):.2f}" if loss < 700 else "inf"
    change = "" if before is None else "–" if before.losses is None else _change(before.losses, one.losses)
    return [*cells, f"{loss:.4f}", perplexity, change]


def _change(before: RowLosses, after: RowLosses) -> str:
    """Of the loss, with its standard error: both were measured on the same rows."""
    differences = after.sums.astype(np.float64) - before.sums
    total, rows = before.targets.sum(), len(differences)
    mean = float(differences.sum() / total)
    if rows < 2:
        return f"{mean:+.4f}"
    left = differences - mean * before.targets
    return f"{mean:+.4f} ± {math.sqrt(rows / (rows - 1) * float((left**2).sum())) / total:.4f}"
