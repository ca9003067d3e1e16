"""Which texts a judge sees together, and in which order: blinded blocks, each adapter once a theme and variant."""

import random
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Candidate:
    """One text under judgement. `slot`: its variant and number, the same for all adapters; `length` in units."""

    id: str
    adapter: str
    theme: str
    slot: str
    text: str
    length: int


@dataclass(frozen=True)
class Block:
    """Texts of different adapters on one theme, in the order shown."""

    theme: str
    entries: list[Candidate]


@dataclass
class Designer:
    """Deals blocks, keeping count of who stood where, so that each adapter stands everywhere as often."""

    size: int
    seed: int
    _stood: dict[tuple[str, int], int] = field(default_factory=lambda: defaultdict(int))
    _met: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))

    def deal(self, entries: Iterable[Candidate]) -> list[Block]:
        """Blocks over the entries of one slot; what leaves an adapter alone on a theme is left out."""
        by_theme: dict[str, dict[str, Candidate]] = {}
        for entry in entries:
            by_theme.setdefault(entry.theme, {})[entry.adapter] = entry
        blocks = []
        for theme, present in by_theme.items():
            rng = random.Random(f"{self.seed}:{theme}:{next(iter(present.values())).slot}")
            for group in self._grouped(sorted(present), rng):
                if len(group) > 1:
                    blocks.append(Block(theme, [present[adapter] for adapter in self._ordered(group, rng)]))
        return blocks

    def _grouped(self, adapters: Sequence[str], rng: random.Random) -> list[list[str]]:
        """Groups of nearly the same size, of those who have met least."""
        count = max(1, -(-len(adapters) // self.size))
        sizes = [len(adapters) // count + (place < len(adapters) % count) for place in range(count)]
        left = list(adapters)
        rng.shuffle(left)
        groups = []
        for size in sizes:
            group = [left.pop(0)]
            while len(group) < size:
                strangest = min(left, key=lambda one: sum(self._met[_pair(one, other)] for other in group))
                left.remove(strangest)
                group.append(strangest)
            for place, one in enumerate(group):
                for other in group[:place]:
                    self._met[_pair(one, other)] += 1
            groups.append(group)
        return groups

    def _ordered(self, group: list[str], rng: random.Random) -> list[str]:
        """The rotation of a shuffled group by which its members stand where they stood least."""
        rng.shuffle(group)
        turns = [group[turn:] + group[:turn] for turn in range(len(group))]
        chosen = min(turns, key=lambda turn: sum(self._stood[one, place] for place, one in enumerate(turn)))
        for place, one in enumerate(chosen):
            self._stood[one, place] += 1
        return chosen


def slots(entries: Iterable[Candidate]) -> Mapping[str, list[Candidate]]:
    """The entries by slot, in the order of first appearance: a round of judging each."""
    found: dict[str, list[Candidate]] = {}
    for entry in entries:
        found.setdefault(entry.slot, []).append(entry)
    return found


def _pair(one: str, other: str) -> tuple[str, str]:
    return (one, other) if one < other else (other, one)
