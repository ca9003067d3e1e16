"""What a panel's ranking would be without one of its judges, or without a family of them. Knows nothing of verdicts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import kendalltau

from harness.judging.pooling import Opinion, pool


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """`who`: the judge, or with `family` the family. `order`: adapters as the others rank them, the best first.

    `changed`: places among neighbours that are exchanged against the whole panel's, 0 to 1. `like_the_rest`: Kendall's
    tau of what was left out with that order, from 1 (the same) over 0 (nothing in common) to -1 (the reverse).
    """

    who: str
    family: bool
    order: list[str]
    ratings: dict[str, float]
    changed: float
    like_the_rest: float


def leave_out(opinions: Mapping[str, Opinion], families: Mapping[str, str], adapters: Sequence[str]) -> list[LeftOut]:
    """Each judge in turn, then each family of several judges; nothing of a single judge."""
    if len(opinions) < 2:
        return []
    judges = list(opinions)
    found = [_without([judge], judge, False, opinions, adapters) for judge in judges]
    for family in dict.fromkeys(families.get(judge, judge) for judge in judges):
        members = [judge for judge in judges if families.get(judge, judge) == family]
        if 1 < len(members) < len(judges):
            found.append(_without(members, family, True, opinions, adapters))
    return found


def _without(
    members: Sequence[str], who: str, family: bool, opinions: Mapping[str, Opinion], adapters: Sequence[str]
) -> LeftOut:
    whole = pool(list(opinions.values())).value
    own = pool([opinions[judge] for judge in members]).value
    rest = pool([opinion for judge, opinion in opinions.items() if judge not in members]).value
    order = [int(number) for number in np.argsort(-rest, kind="stable")]
    return LeftOut(
        who=who,
        family=family,
        order=[adapters[number] for number in order],
        ratings={adapters[number]: float(rest[number]) for number in order},
        changed=(1 - _tau(whole, rest)) / 2,
        like_the_rest=_tau(own, rest),
    )


def _tau(one: "np.ndarray[tuple[int, ...], np.dtype[np.float64]]", other: object) -> float:
    found = float(kendalltau(one, other)[0])
    return found if np.isfinite(found) else 1.0  # of a single adapter, or of ratings that are all the same
