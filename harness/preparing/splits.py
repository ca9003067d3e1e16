"""Which split a row belongs to: decided by a hash of its group, so that rows that are added move no other.

Knows groups and labels, nothing of texts.
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from harness.data.sources.found import HeldOut
from harness.errors import HarnessError

SPLITS = ("train", "valid", "test")

_AT_LEAST, _AT_MOST = 0.75, 1.5  # of the share that was asked for; small sets would stray further


@dataclass(frozen=True, kw_only=True)
class Shares:
    """Of the groups. `seed`: another one, another split."""

    valid: float
    test: float
    seed: int


@dataclass(frozen=True)
class Member:
    """A row by its group and its label. `held_out`: the split that its source has it in."""

    group: str
    label: str | None
    held_out: HeldOut | None = None


def split(members: Sequence[Member], shares: Shares) -> list[str]:
    """A split's name for each row.

    Each label of two groups or more has one in valid, and three quarters of what was asked for, but not half as much
    again: those that are nearest to the border change sides. So does test, of three groups or more.

    Where a source holds rows out for a split, that split has those groups and no others; test goes before valid.

    Raises:
        HarnessError: when train or valid would be empty.
    """
    held_out = {member.group: name for name in ("valid", "test") for member in members if member.held_out == name}
    shares = replace(
        shares,
        valid=0.0 if "valid" in held_out.values() else shares.valid,
        test=0.0 if "test" in held_out.values() else shares.test,
    )
    places = {member.group: _place(member.group, shares.seed) for member in members if member.group not in held_out}
    chosen: dict[str, str] = {group: _by_place(place, shares) for group, place in places.items()}
    labels: dict[str | None, list[str]] = {}
    for member in (each for each in members if each.group in chosen):
        labels.setdefault(member.label, []).append(member.group)
    for label in sorted(labels, key=str):
        _see_to(chosen, sorted(set(labels[label]), key=lambda group: places[group]), shares)
    sides = {**held_out, **chosen}
    names = [sides[member.group] for member in members]
    if "train" not in names or (shares.valid > 0 and "valid" not in names):
        raise HarnessError(
            f"{len(members)} rows in {len(sides)} groups cannot be split with source.valid={shares.valid:g} and "
            f"source.test={shares.test:g}; train and valid need at least one group each; "
            "rows that are nearly the same are one group: source.near_duplicates=off parts them"
        )
    return names


def moved(members: Sequence[Member], names: Sequence[str]) -> int:
    """How many rows are held out with their group, though their source does not hold them out there."""
    groups = {member.group for member in members if member.held_out is not None}
    return sum(member.group in groups and member.held_out != name for member, name in zip(members, names, strict=True))


def _place(group: str, seed: int) -> float:
    """Uniform in [0, 1)."""
    return int.from_bytes(hashlib.sha256(f"{seed} {group}".encode()).digest()[:6]) / 2**48


def _by_place(place: float, shares: Shares) -> str:
    if place < shares.valid:
        return "valid"
    return "test" if place < shares.valid + shares.test else "train"


def _see_to(chosen: dict[str, str], groups: Sequence[str], shares: Shares) -> None:
    """That the groups of one label, in the order of their places, are in each split."""
    for name, share, needed in (("valid", shares.valid, 2), ("test", shares.test, 3)):
        least = max(1, int(_AT_LEAST * share * len(groups))) if share > 0 and len(groups) >= needed else 0
        most = max(1, math.ceil(_AT_MOST * share * len(groups) - 1e-9))
        here = [group for group in groups if chosen[group] == name]
        for group in here[most:]:
            chosen[group] = "train"
        free = [group for group in groups if chosen[group] == "train"]
        for group in free[: max(0, min(least - len(here), len(free) - 1))]:
            chosen[group] = name
    if len(groups) > 1 and not any(chosen[group] == "train" for group in groups):
        chosen[groups[-1]] = "train"
