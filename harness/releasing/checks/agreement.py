"""Fused into its base, is the adapter what it is beside it: the losses of the same rows in both forms.

Fused in full precision it must be. Fused and quantized again as the base is, a small adapter can be rounded away: that
is said and decides nothing, for nobody needs to use it so. Knows nothing of files.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.config.schema import AgreementGate
from harness.data.dataset import Row, fixed_subset
from harness.models.adapter import loaded
from harness.models.fused import fused
from harness.releasing.checks.general_text import passages, rows_of
from harness.releasing.checks.subject import NotHereError, Subject, batch_size
from harness.releasing.checks.verdict import CheckKind, Verdict, left_out
from harness.releasing.measured import losses_by_row

_GENERAL_TOKENS = 96  # of a passage, where there are no validation rows
_LOST = 0.9  # of the effect: what keeps less is not the adapter any more

Losses = NDArray[np.float64]  # [rows], nats a token


@dataclass(frozen=True)
class _Forms:
    """The losses of the same rows: without the adapter, with it, fused, and fused at the base's own bits."""

    bare: Losses
    beside: Losses
    fused: Losses
    quantized: Losses | None


def check_agreement(subject: Subject, settings: AgreementGate) -> Verdict:
    """The figure is by how much the mean loss of the rows differs, in nats a token.

    Not row by row: there what 16 bits round, which is as often up as down, counts like a change.
    """
    if settings.limit is None:
        return left_out(CheckKind.AGREEMENT)
    rows, of = _rows(subject, settings.rows)
    forms = _measured(subject, rows)
    change = float(np.mean(forms.fused - forms.beside))
    figure = abs(change) if np.isfinite(change) else float("inf")
    passed = figure <= settings.limit
    where = f"fused in full precision, the loss of {len(rows)} {of} changes by {change:+.2g} nats a token"
    todo = "" if passed else "; serve it beside its base, and do not export it fused"
    lost = _what_bits_keep(forms)
    return Verdict(
        check=CheckKind.AGREEMENT,
        passed=passed,
        figure=figure,
        limit=settings.limit,
        said=f"{where}, limit {settings.limit:g}{todo}{f'; {lost}' if lost else ''}",
        details=[
            f"loss without adapter {forms.bare.mean():.4f}, with it {forms.beside.mean():.4f}, "
            f"fused {forms.fused.mean():.4f}; a row changes by {_difference(forms.fused, forms.beside):.2g}",
            *([] if forms.quantized is None else [f"fused and quantized as the base is {forms.quantized.mean():.4f}"]),
        ],
    )


def _rows(subject: Subject, count: int) -> tuple[list[Row], str]:
    """Of the run's validation where they are here, else general text, which shows a difference as well."""
    try:
        return fixed_subset(subject.valid, count).rows, "validation rows"
    except NotHereError:
        return rows_of(passages()[:count], subject.base.tokenizer, _GENERAL_TOKENS), "general texts"


def _measured(subject: Subject, rows: Sequence[Row]) -> _Forms:
    base = subject.base

    def losses() -> Losses:
        found = losses_by_row(base, rows, batch_size(rows))
        return found.sums.astype(np.float64) / found.targets

    bare, quantized = losses(), None
    with loaded(base.model, subject.adapter):
        beside = losses()
        with fused(base.model, dequantize=True):
            whole = losses()
        if "quantization" in base.settings:
            with fused(base.model, dequantize=False):
                quantized = losses()
    return _Forms(bare, beside, whole, quantized)


def _difference(one: Losses, other: Losses) -> float:
    """Infinite where one is no number."""
    both = np.abs(one - other)
    return float(both.mean()) if np.isfinite(both).all() else float("inf")


def _what_bits_keep(forms: _Forms) -> str:
    """What to say where quantizing the fused weights takes from the adapter; empty where it does not."""
    if forms.quantized is None:
        return ""
    effect, left = _difference(forms.beside, forms.bare), _difference(forms.quantized, forms.beside)
    kept = max(0.0, 1 - left / effect) if effect else 1.0
    if kept >= _LOST:
        return ""
    return f"fused and quantized as the base is it keeps {kept:.0%} of its effect: export it with more bits"
