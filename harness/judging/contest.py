"""Adapters ranked by a judge: rounds of blocks, each of texts not judged before, until the order is decided."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from harness.judging.blocks import Candidate, Designer, slots
from harness.judging.plackett_luce import Ranked
from harness.judging.ranking import Standings, rank
from harness.judging.verdicts import Judge, Verdict, gathered


@dataclass(frozen=True)
class Contest:
    """`standings` is None when no block could be scored. `ended`: why no more was judged, in words."""

    verdicts: list[Verdict]
    standings: Standings | None
    ended: str


def planned_calls(entries: Sequence[Candidate], block: int, seed: int) -> tuple[int, int]:
    """Calls of the first round, and of all rounds."""
    designer = Designer(block, seed)
    rounds = [len(designer.deal(of_slot)) for of_slot in slots(entries).values()]
    return (rounds[0] if rounds else 0), sum(rounds)


async def hold(
    judges: Sequence[Judge],
    entries: Sequence[Candidate],
    *,
    block: int,
    seed: int,
    adaptive: bool = True,
    tell: Callable[[Verdict], object] = lambda verdict: None,
) -> Contest:
    """A round for each slot: the first of all adapters, the next only of those that a neighbour cannot be told from.

    Where the budget ends a round, what was judged counts. Each round is a look at who can be told apart.
    """
    designer = Designer(block, seed)
    adapters = list(dict.fromkeys(entry.adapter for entry in entries))
    verdicts: list[Verdict] = []
    standings: Standings | None = None
    still = set(adapters)
    ended = "all texts are judged"
    rounds = slots(entries)
    looks = len(rounds)
    families = {judge.name: judge.family for judge in judges}
    for of_slot in rounds.values():
        blocks = designer.deal(entry for entry in of_slot if entry.adapter in still)
        new = await gathered([judge.rank(each) for each in blocks for judge in judges], tell)
        verdicts += new.done
        standings = standings_of(verdicts, adapters, seed, looks if adaptive else 1, families)
        if new.spent is not None:
            ended = new.spent
            break
        if standings is None:
            ended = "not one verdict of the first round could be read"
            break
        still = standings.open if adaptive else still
        if not still:
            ended = "the order is decided"
            break
    return Contest(verdicts, standings, ended)


def standings_of(
    verdicts: Sequence[Verdict],
    adapters: Sequence[str],
    seed: int,
    looks: int = 1,
    families: Mapping[str, str] | None = None,
) -> Standings | None:
    """Ratings from what could be read; None when that is nothing."""
    ranked = [
        Ranked(each.theme, each.adapters, each.lengths, each.order, each.judge)
        for each in verdicts
        if each.unscored is None
    ]
    return rank(ranked, adapters, seed=seed, looks=looks, families=families) if ranked else None
