"""A score that can be compared between runs: the share of frozen anchor texts that a run's texts beat, by theme."""

import math
import random
import statistics
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from harness.judging.blocks import Block, Candidate
from harness.judging.verdicts import Judge, Verdict, VerdictKind, gathered

ANCHOR = "anchor"
_LEAST_SCORED = 0.5  # of the texts: with fewer, what is left says little


@dataclass(frozen=True, kw_only=True)
class WinRate:
    """`by_theme`: share of anchors beaten, over the texts on the theme; `stderr`: of the mean over themes."""

    by_theme: dict[str, float]
    texts: int
    unscored: int

    @property
    def value(self) -> float | None:
        """None when too little could be scored."""
        scored = self.texts - self.unscored
        if not self.by_theme or scored < _LEAST_SCORED * self.texts:
            return None
        return statistics.fmean(self.by_theme.values())

    @property
    def stderr(self) -> float | None:
        if self.value is None or len(self.by_theme) < 2:
            return None
        return statistics.stdev(self.by_theme.values()) / math.sqrt(len(self.by_theme))


@dataclass(frozen=True, kw_only=True)
class AnchorContest:
    """`ended`: why it ended early, if it did; `pruned`: because `report` said so."""

    rate: WinRate
    verdicts: list[Verdict]
    ended: str | None = None
    pruned: bool = False


def anchored_blocks(entries: Sequence[Candidate], anchors: Mapping[str, Sequence[Candidate]], seed: int) -> list[Block]:
    """A block for each text: it and the anchors of its theme, in an order that hangs on theme and slot alone.

    So runs differ by their texts and by nothing else. A theme without anchors is left out.
    """
    blocks = []
    for entry in entries:
        if not (beside := list(anchors.get(entry.theme, ()))):
            continue
        shown = [entry, *beside]
        random.Random(f"{seed}:{entry.theme}:{entry.slot}").shuffle(shown)
        blocks.append(Block(entry.theme, shown))
    return blocks


async def win_rate(
    judges: Sequence[Judge],
    blocks: Sequence[Block],
    *,
    at_once: int,
    scorers: int = 1,
    report: Callable[[int, float], bool] = lambda number, lost: False,
    tell: Callable[[Verdict], object] = lambda verdict: None,
) -> AnchorContest:
    """Judge the blocks, so many at once, in order. The score is the mean of the first so many judges'.

    `report` is told of each theme that is done, by its number, the share of anchors that were *not* beaten, and says
    whether to end there.
    """
    names = {judge.name for judge in judges[:scorers]}
    themes = list(dict.fromkeys(block.theme for block in blocks))
    ordered = sorted(blocks, key=lambda block: themes.index(block.theme))
    verdicts: list[Verdict] = []
    reported = 0
    for begin in range(0, len(ordered), at_once):
        some = ordered[begin : begin + at_once]
        new = await gathered([judge.rank(block, VerdictKind.ANCHORS) for block in some for judge in judges], tell)
        verdicts += new.done
        rate = _rate(verdicts, names, len(blocks))
        if new.spent is not None:
            return AnchorContest(rate=rate, verdicts=verdicts, ended=new.spent)
        left = {block.theme for block in ordered[begin + at_once :]}
        while reported < len(themes) and themes[reported] not in left:
            theme = themes[reported]
            reported += 1
            if theme in rate.by_theme and report(reported, 1 - rate.by_theme[theme]):
                why = "others were better on the same themes"
                return AnchorContest(rate=rate, verdicts=verdicts, ended=why, pruned=True)
    return AnchorContest(rate=_rate(verdicts, names, len(blocks)), verdicts=verdicts)


def _rate(verdicts: Sequence[Verdict], judges: Collection[str], texts: int) -> WinRate:
    """A text's share is the mean of the judges that could score it."""
    shares: dict[str, dict[str, list[float]]] = {}
    for verdict in verdicts:
        if verdict.unscored is None and verdict.judge in judges:
            ours = next(place for place, adapter in enumerate(verdict.adapters) if adapter != ANCHOR)
            beaten = len(verdict.order) - 1 - verdict.order.index(ours)
            of_text = shares.setdefault(verdict.theme, {}).setdefault(verdict.ids[ours], [])
            of_text.append(beaten / (len(verdict.order) - 1))
    by_theme = {
        theme: statistics.fmean(statistics.fmean(each) for each in of_texts.values())
        for theme, of_texts in shares.items()
    }
    return WinRate(by_theme=by_theme, texts=texts, unscored=texts - sum(map(len, shares.values())))
