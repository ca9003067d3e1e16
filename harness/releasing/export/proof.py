"""Whether an export is what the adapter on its base is: by the losses of the same rows, and by greedy texts.

The adapter's effect on a row is what it takes off (or adds to) the row's loss. An export that moves the rows otherwise
by some share of that effect has lost the share: 0 is the adapter itself, 1 as far from it as the bare base. Taking rows
one by one, rather than their mean, keeps a mean that agrees by luck from counting. Knows nothing of how to export.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.releasing.export.yardstick import Reading

Numbers = NDArray[Any]


class Precision(Enum):
    """How much of the adapter's effect an export may lose.

    SAME: the adapter's own numbers, computed the same way; FULL: added to weights, which rounds in 16 bits;
    QUANTIZED: rounded to a few bits.
    """

    SAME = 0.01
    FULL = 0.1
    QUANTIZED = 0.25


_ROUNDING = 2e-3  # nats a token: of an adapter with no effect, what counts as none; losses in 16 bits differ by less


@dataclass(frozen=True, kw_only=True)
class Proof:
    """Losses in nats a token, on what `on` says, of the bare base, of the adapter on it and of the export.

    `change`: of the loss, export less adapter. `change_error`, `attached_error`: standard errors over rows (None for
    one row).
    `lost`: share of the adapter's effect. `same`: greedy texts that stay, of so many `texts`; `written`: the export's.
    """

    on: str
    bare: float
    attached: float
    attached_error: float | None
    exported: float
    change: float
    change_error: float | None
    lost: float
    same: int
    texts: int
    limit: Precision
    loader: str
    written: Sequence[str]

    @property
    def agrees(self) -> bool:
        return self.lost <= self.limit.value

    @property
    def kept(self) -> float:
        return max(0.0, 1 - self.lost)

    @property
    def lines(self) -> list[str]:
        """For the terminal and the card."""
        adapter = f"{self.attached:.4f}{_plus_minus(self.attached_error)}"
        change = f"{self.change:+.4f}{_plus_minus(self.change_error)}"
        return [
            f"loss on {self.on}: base {self.bare:.4f}, adapter {adapter}, export {self.exported:.4f} (change {change})",
            f"keeps {self.kept:.1%} of the adapter's effect (at least {1 - self.limit.value:.0%} is asked for)",
            f"{self.same} of {self.texts} greedy texts stay the same, character for character",
        ]


def compared(
    *, bare: Reading, attached: Reading, exported: Reading, on: str, limit: Precision, loader: str = ""
) -> Proof:
    """`loader`: what read the export again."""
    change = exported.sums - attached.sums
    effect = attached.sums - bare.sums
    mean = float(change.sum() / attached.targets.sum())
    return Proof(
        on=on,
        bare=bare.loss,
        attached=attached.loss,
        attached_error=_error(attached.sums, attached.targets, attached.loss),
        exported=exported.loss,
        change=mean,
        change_error=_error(change, attached.targets, mean),
        lost=_share(change, effect, attached.targets),
        same=sum(one == other for one, other in zip(attached.texts, exported.texts, strict=False)),
        texts=len(attached.texts),
        limit=limit,
        loader=loader,
        written=exported.texts,
    )


def _plus_minus(error: float | None) -> str:
    return "" if error is None else f" ± {error:.4f}"


def _share(change: Numbers, effect: Numbers, targets: Numbers) -> float:
    """Root mean squares over rows of nats a token; what is no number is all lost."""
    if not np.isfinite(change).all():
        return math.inf
    moved = math.sqrt(float(np.mean((change / targets) ** 2)))
    meant = math.sqrt(float(np.mean((effect / targets) ** 2)))
    if moved <= _ROUNDING and meant <= _ROUNDING:
        return 0.0
    return moved / max(meant, _ROUNDING)


def _error(change: Numbers, targets: Numbers, mean: float) -> float | None:
    """Of a ratio of sums, over rows."""
    rows = len(change)
    if rows < 2:
        return None
    residuals = change - mean * targets
    return float(math.sqrt(rows / (rows - 1) * float(np.sum(residuals**2))) / targets.sum())
