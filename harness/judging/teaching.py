"""What a person accepted and rejected, as examples for a judge; and whether it judges the better for them.

Themes are split in halves: examples come from one, agreement is measured on the other, without and with them, on the
same blocks. Examples that do not help by more than chance are not used. Knows nothing of files.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

from harness.judging.agreement import Agreement, counted_pairs, with_people
from harness.judging.decided import LEAST_THEMES, Decided, Plan, decided_blocks
from harness.judging.rubric import Example
from harness.judging.verdicts import Judge, Verdict, VerdictKind, gathered

_SURE = 0.95  # of 20 teachings that do nothing one may be used


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """What teaching came to. `before`, `after`: agreement on the held-out half; `gain`: their difference, paired by
    theme, with its error. `why`: it is used, or not. `held_out`: ids that no example was taken from the themes of."""

    examples: list[Example]
    before: Agreement | None
    after: Agreement | None
    gain: float | None
    stderr: float | None
    used: bool
    why: str
    held_out: list[str]
    verdicts: list[Verdict]

    @property
    def person(self) -> Agreement | None:
        """How far the judges agree with the person as they go on: taught, or as they were."""
        return self.after if self.used else self.before

    @property
    def counting(self) -> list[Verdict]:
        """Of the judges as they go on."""
        kind = VerdictKind.TAUGHT if self.used else VerdictKind.DECIDED
        return [each for each in self.verdicts if each.kind is kind]

    @property
    def said(self) -> str:
        if self.before is None or self.after is None or self.gain is None:
            return f"not taught by the person's decisions: {self.why}"
        told = "taught by" if self.used else "not taught by"
        return (
            f"{told} the person's decisions: on the half held out {self.before.figure} before and {self.after.figure} "
            f"after {len(self.examples)} examples, {self.gain:+.2f} ± {self.stderr:.2f} ({self.before.pairs} pairs): "
            f"{self.why}"
        )


async def teach(
    judges: Sequence[Judge],
    planned: Plan,
    decisions: Mapping[str, str],
    tell: Callable[[Verdict], object] = lambda verdict: None,
) -> Lesson:
    """Ask about the held-out half without and with examples. With `used`, the caller takes `Judge.taught`."""
    if (why := planned.lacks) is not None:
        return _without_teaching(why, [], decisions)
    taught = [judge.taught(planned.examples) for judge in judges]
    asked = [(judge, VerdictKind.DECIDED) for judge in judges] + [(judge, VerdictKind.TAUGHT) for judge in taught]
    found = await gathered([judge.rank(block, kind) for block in planned.blocks for judge, kind in asked], tell)
    before, after = (
        [each for each in found.done if each.kind is kind] for kind in (VerdictKind.DECIDED, VerdictKind.TAUGHT)
    )
    return _lesson(before, after, decisions, planned)


async def compare(
    judges: Sequence[Judge],
    decided: Sequence[Decided],
    *,
    size: int,
    seed: int,
    why: str,
    tell: Callable[[Verdict], object] = lambda verdict: None,
) -> Lesson:
    """No teaching, for the reason given: only how far the judges agree with all that was decided."""
    blocks = decided_blocks(decided, size=size, seed=seed)
    found = await gathered([judge.rank(block, VerdictKind.DECIDED) for block in blocks for judge in judges], tell)
    return _without_teaching(why, found.done, {each.id: each.decision for each in decided})


def _without_teaching(why: str, verdicts: list[Verdict], decisions: Mapping[str, str]) -> Lesson:
    before = with_people(verdicts, decisions)
    return Lesson(
        examples=[],
        before=before,
        after=None,
        gain=None,
        stderr=None,
        used=False,
        why=why,
        held_out=[],
        verdicts=verdicts,
    )


def _lesson(before: list[Verdict], after: list[Verdict], decisions: Mapping[str, str], planned: Plan) -> Lesson:
    """Of blocks that a judge could rank both ways."""
    both = _scored(before) & _scored(after)
    pairs = [[each for each in verdicts if _key(each) in both] for verdicts in (before, after)]
    themes = sorted({each.theme for each in pairs[0]})
    was, now = (with_people(verdicts, decisions) for verdicts in pairs)
    gain = stderr = None
    used, why = False, "too little of it could be judged to tell"
    if was is not None and now is not None and len(themes) >= LEAST_THEMES:
        one, other = (counted_pairs(verdicts, decisions, themes) for verdicts in pairs)
        gain = other.share - one.share
        off = other.right - one.right - gain * one.pairs
        stderr = float(np.sqrt(off @ off * len(themes) / (len(themes) - 1)) / one.pairs.sum())
        used = gain > float(student.ppf(_SURE, len(themes) - 1)) * stderr and gain > 0
        why = "it helps by more than its error, and is used" if used else "it does not help by more than its error"
    return Lesson(
        examples=planned.examples,
        before=was,
        after=now,
        gain=gain,
        stderr=stderr,
        used=used,
        why=why,
        held_out=planned.held_out,
        verdicts=[*before, *after],
    )


def _scored(verdicts: Sequence[Verdict]) -> set[tuple[str, ...]]:
    return {_key(each) for each in verdicts if each.unscored is None}


def _key(verdict: Verdict) -> tuple[str, ...]:
    return (verdict.judge, *verdict.ids)
