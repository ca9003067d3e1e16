"""Is what the base knew of language still there: the loss on general text without the adapter and with it.

A text whose tokens the base itself can hardly tell has nothing that could be forgotten, and is left out: builtin:small,
say, knows plain prose and no code. Knows nothing of training data.
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from harness.config.schema import ForgettingGate
from harness.data.dataset import Row
from harness.models.adapter import loaded
from harness.models.base import Base
from harness.releasing.checks.general_text import is_known, passages, rows_of
from harness.releasing.checks.subject import Subject, batch_size
from harness.releasing.checks.verdict import CheckKind, Verdict
from harness.releasing.measured import losses_by_row

_CHECK = CheckKind.FORGETTING


@dataclass(frozen=True)
class _Passed:
    """One passage: sums of the loss in nats, and tokens."""

    kind: str
    before: float
    after: float
    tokens: int


def check_forgetting(subject: Subject, settings: ForgettingGate) -> Verdict:
    """The figure is the rise of the loss in nats a token, over all tokens of the texts that the base knows."""
    known = _measured(subject, settings)
    if not known:
        said = f"{subject.base.path} predicts no general text better than a guess: there is nothing to forget"
        return Verdict(check=_CHECK, passed=True, figure=None, limit=settings.limit, said=said)
    before, after = _losses(known)
    rise = after - before if math.isfinite(after) else math.inf
    passed = rise <= settings.limit
    what = f"general text costs {rise:+.3f} nats a token with the adapter ({before:.3f} before, {after:.3f} after)"
    todo = "" if passed else "; take an earlier checkpoint, a lower learning rate or scale, or fewer blocks"
    return Verdict(
        check=_CHECK,
        passed=passed,
        figure=rise,
        limit=settings.limit,
        said=f"{what}, limit {settings.limit:g}{todo}",
        details=_by_kind(known),
    )


def _measured(subject: Subject, settings: ForgettingGate) -> list[_Passed]:
    """The passages that the base knows, with and without the adapter."""
    base, texts = subject.base, passages()
    rows = rows_of(texts, base.tokenizer, settings.tokens)
    before = _sums(base, rows)
    known = [row for row in rows if is_known(before[row.line] / row.targets, base.vocabulary)]
    if not known:
        return []
    with loaded(base.model, subject.adapter):
        after = _sums(base, known)
    return [_Passed(texts[row.line].kind, before[row.line], after[row.line], row.targets) for row in known]


def _sums(base: Base, rows: Sequence[Row]) -> dict[int, float]:
    """Of each row's loss in nats, by its line."""
    found = losses_by_row(base, rows, batch_size(rows))
    return dict(zip(found.lines.tolist(), found.sums.tolist(), strict=True))


def _losses(found: list[_Passed]) -> tuple[float, float]:
    """Before and after, nats a token."""
    tokens = sum(each.tokens for each in found)
    return sum(each.before for each in found) / tokens, sum(each.after for each in found) / tokens


def _by_kind(found: list[_Passed]) -> list[str]:
    """The most forgotten first."""
    kinds: dict[str, list[_Passed]] = defaultdict(list)
    for each in found:
        kinds[each.kind].append(each)
    losses = sorted((_losses(group), kind) for kind, group in kinds.items())
    losses.sort(key=lambda each: each[0][0] - each[0][1])
    return [f"{kind}: {before:.3f} before, {after:.3f} after" for (before, after), kind in losses]
