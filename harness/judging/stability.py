"""How far a judge says the same when it is asked the same again. Knows nothing of caches: its judges ask anew."""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from harness.judging.blocks import Block
from harness.judging.verdicts import Judge, Verdict, VerdictKind, gathered

_UNSTABLE = 0.75  # of pairs: by chance it is a half


@dataclass(frozen=True)
class Stability:
    """`same`: the share of pairs of texts that two replies to the same call put in one order, with its error over
    calls. `calls`: that were repeated."""

    judge: str
    same: float
    stderr: float | None
    calls: int

    @property
    def said(self) -> str:
        error = "" if self.stderr is None else f" ± {self.stderr:.0%}"
        often = "once" if self.calls == 1 else f"{self.calls} times"
        doubt = ": hardly more than chance, so trust no single verdict" if self.same < _UNSTABLE else ""
        return (
            f"{self.judge}, asked the same again {often}, puts {self.same:.0%}{error} of pairs in the same order{doubt}"
        )


async def repeated(
    judges: Sequence[Judge],
    blocks: Sequence[Block],
    verdicts: Sequence[Verdict],
    tell: Callable[[Verdict], object] = lambda verdict: None,
) -> tuple[list[Stability], list[Verdict]]:
    """Each block once more, of each judge that could rank it in `verdicts`."""
    before = {(each.judge, *each.ids): each for each in verdicts if each.unscored is None}
    asked = [
        judge.rank(block, VerdictKind.REPEAT, repeat=1)
        for block in blocks
        for judge in judges
        if (judge.name, *(entry.id for entry in block.entries)) in before
    ]
    again = (await gathered(asked, tell)).done
    return [found for judge in judges if (found := _stability(judge.name, before, again)) is not None], again


def _stability(judge: str, before: Mapping[tuple[str, ...], Verdict], again: Sequence[Verdict]) -> Stability | None:
    """None where nothing could be read twice."""
    own = [each for each in again if each.judge == judge and each.unscored is None]
    shares = [_same(before[judge, *each.ids].order, each.order) for each in own]
    if not shares:
        return None
    error = float(np.std(shares, ddof=1)) / math.sqrt(len(shares)) if len(shares) > 1 else None
    return Stability(judge, float(np.mean(shares)), error, len(shares))


def _same(one: Sequence[int], other: Sequence[int]) -> float:
    """Share of pairs in the same order."""
    pairs = list(itertools.combinations(one, 2))
    return sum(other.index(this) < other.index(that) for this, that in pairs) / max(len(pairs), 1)
