"""Texts that a person decided on, in halves: examples of the person's taste, and blocks to measure agreement on.

Whole themes go to one half. Knows nothing of files, and nothing of judges.
"""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from harness.judging.agreement import WORTH
from harness.judging.blocks import Block, Candidate
from harness.judging.rubric import Example

_PAIRS = 6  # of an accepted and a rejected example
_LONGEST, _ALL = 1500, 6000  # characters of an example, and of all: each call pays for them
MOST_BLOCKS = 24  # to measure on
LEAST_THEMES = 4  # to tell an agreement's error


@dataclass(frozen=True)
class Decided:
    """A text that a person decided on. `decision`: accept, edit, delete or skip; `length` in units."""

    id: str
    theme: str
    text: str
    decision: str
    length: int


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is to be learned from, and the blocks to measure on, with the ids of their half."""

    examples: list[Example]
    blocks: list[Block]
    held_out: list[str]

    @property
    def lacks(self) -> str | None:
        """Why nobody can be taught so, in words."""
        themes = len({block.theme for block in self.blocks})
        if self.examples and themes >= LEAST_THEMES:
            return None
        return (
            f"it takes {2 * LEAST_THEMES} themes with texts decided differently, accepted and deleted ones, "
            f"but there are {len(self.examples)} examples, and {themes} themes to measure on"
        )


def plan(decided: Sequence[Decided], *, size: int, seed: int, most: int = MOST_BLOCKS) -> Plan:
    """`size`: texts of a block; `most`: blocks at most."""
    learned, held_out = halves(decided, seed)
    blocks = decided_blocks(held_out, size=size, seed=seed)[:most]
    return Plan(examples=examples_of(learned, seed), blocks=blocks, held_out=[each.id for each in held_out])


def halves(decided: Sequence[Decided], seed: int) -> tuple[list[Decided], list[Decided]]:
    """To learn from and to measure on: whole themes, those with texts decided differently spread evenly."""
    telling: list[str] = []
    other: list[str] = []
    for theme in dict.fromkeys(each.theme for each in decided):
        (telling if len(_worths(decided, theme)) > 1 else other).append(theme)
    random.Random(f"{seed}:halves").shuffle(telling)
    learned = {*telling[::2], *other}
    return [each for each in decided if each.theme in learned], [each for each in decided if each.theme not in learned]


def examples_of(decided: Sequence[Decided], seed: int) -> list[Example]:
    """An accepted and a deleted text, again and again, in chance order: of one theme as far as there are such.

    What was edited, or is long, tells less.
    """
    rng = random.Random(f"{seed}:examples")
    some = [each for each in decided if 0 < len(each.text) <= _LONGEST]
    rng.shuffle(some)
    accepted, deleted = ([each for each in some if each.decision == decision] for decision in ("accept", "delete"))
    pairs = []
    for one in sorted(accepted, key=lambda each: each.theme not in {other.theme for other in deleted}):
        if deleted:
            other = next((each for each in deleted if each.theme == one.theme), deleted[0])
            deleted.remove(other)
            pairs.append((one, other))
    seen = Counter[str]()
    turns = [(_next(seen, one.theme), one, other) for one, other in pairs]  # each theme once before one comes again
    turns.sort(key=lambda turn: turn[0])
    found: list[Example] = []
    for _, one, other in turns[:_PAIRS]:
        if sum(len(each.text) for each in found) + len(one.text) + len(other.text) <= _ALL:
            found += [Example(each.theme, each.text, each.decision == "accept") for each in (one, other)]
    return found


def _next(seen: Counter[str], theme: str) -> int:
    seen[theme] += 1
    return seen[theme]


def decided_blocks(decided: Sequence[Decided], *, size: int, seed: int) -> list[Block]:
    """Of texts on one theme that were decided differently, in chance order; at most so many, from all themes alike."""
    rng = random.Random(f"{seed}:decided")
    by_theme: list[list[Block]] = []
    for theme in dict.fromkeys(each.theme for each in decided):
        kinds: dict[int, list[Decided]] = {}
        for each in decided:
            if each.theme == theme and each.decision in WORTH:
                kinds.setdefault(WORTH[each.decision], []).append(each)
        blocks = []
        while len(kinds) > 1:
            block = _mixed(kinds, size, rng)
            blocks.append(Block(theme, [_candidate(each) for each in block]))
        by_theme.append(blocks)
    rounds = [
        blocks[turn] for turn in range(max(map(len, by_theme), default=0)) for blocks in by_theme if turn < len(blocks)
    ]
    return rounds[:MOST_BLOCKS]


def _mixed(kinds: dict[int, list[Decided]], size: int, rng: random.Random) -> list[Decided]:
    """The next block, taken from each kind in turn; kinds that are used up are dropped."""
    block: list[Decided] = []
    while len(block) < size and kinds:
        for worth in sorted(kinds):
            if len(block) < size:
                block.append(kinds[worth].pop(rng.randrange(len(kinds[worth]))))
            if not kinds[worth]:
                del kinds[worth]
    rng.shuffle(block)
    return block


def _worths(decided: Sequence[Decided], theme: str) -> set[int]:
    return {WORTH[each.decision] for each in decided if each.theme == theme and each.decision in WORTH}


def _candidate(decided: Decided) -> Candidate:
    return Candidate(decided.id, decided.decision, decided.theme, "0", decided.text, decided.length)
