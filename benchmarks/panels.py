"""Panels of simulated judges, for benchmarks.judging --panels: what is recovered of them, and who is found out.

A text is worth its adapter's strength and luck that all judges see. A judge that reads adds a taste of its own for each
adapter, likes places and lengths by itself, and has noise (rankings are Plackett's and Luce's); one guesses, one orders
the other way round.
"""

from dataclasses import dataclass

import numpy as np

from harness.judging.blocks import Candidate, Designer
from harness.judging.plackett_luce import Ranked
from harness.judging.ranking import Standings, rank

ADAPTERS, THEMES = 8, 30
FOLLOWS = {"reads": 1.0, "guesses": 0.0, "reversed": -1.0}


@dataclass(frozen=True)
class Panel:
    """`judges`: by name, such as reads0, what each follows; `taste`, `luck`: standard deviations in logits."""

    judges: dict[str, float]
    taste: float
    luck: float

    @staticmethod
    def of(reads: int, *odd: str, taste: float, luck: float) -> "Panel":
        names = [f"reads{number}" for number in range(reads)]
        return Panel(dict.fromkeys(names, 1.0) | {each: FOLLOWS[each] for each in odd}, taste, luck)


@dataclass(frozen=True)
class Habits:
    """What standing first, and being e times as long, are worth to a judge."""

    first: float
    length: float


def world(panel: Panel, seed: int) -> tuple[np.ndarray, dict[str, Habits], list[Ranked]]:
    """True strengths [adapter], the judges' habits, and all their verdicts on the same blocks."""
    rng = np.random.default_rng([seed, len(panel.judges)])
    strengths = rng.normal(0, 0.7, ADAPTERS)
    strengths -= strengths.mean()
    lengths = rng.integers(5, 60, (THEMES, ADAPTERS))
    luck = panel.luck * rng.normal(size=(THEMES, ADAPTERS))
    entries = [
        Candidate(f"{a}-{t}", str(a), str(t), "0", "", int(lengths[t, a]))
        for t in range(THEMES)
        for a in range(ADAPTERS)
    ]
    blocks = Designer(4, seed).deal(entries)
    habits, ranked = {}, []
    for judge, follows in panel.judges.items():
        habits[judge] = Habits(float(rng.normal(0.4, 0.4)), float(rng.normal(0.2, 0.3)))
        taste = panel.taste * rng.normal(size=ADAPTERS)
        own = follows * (strengths + luck + taste - taste.mean())
        for block in blocks:
            who, long = [int(entry.adapter) for entry in block.entries], [entry.length for entry in block.entries]
            seen = own[int(block.theme), who] + habits[judge].length * np.log1p(long) + rng.gumbel(size=len(who))
            seen[0] += habits[judge].first
            names = [entry.adapter for entry in block.entries]
            ranked.append(Ranked(block.theme, names, long, np.argsort(-seen).tolist(), judge))
    return strengths, habits, ranked


@dataclass(frozen=True)
class Found:
    """Of one world: shares within their 95 % intervals, and whether the odd one is the least like the rest."""

    strengths: float
    habits: float
    odd: bool
    standings: Standings


def tried(panel: Panel, seed: int) -> Found:
    strengths, habits, ranked = world(panel, seed)
    found = rank(ranked, [str(adapter) for adapter in range(ADAPTERS)], seed=seed)
    inside = [each.low <= strengths[int(each.adapter)] <= each.high for each in found.ratings]
    effects = [(each.first_place, habits[each.judge].first) for each in found.panel]
    effects += [(each.length, habits[each.judge].length) for each in found.panel]
    known = [abs(effect.value - true) < 1.96 * effect.stderr for effect, true in effects]
    least = min(found.left_out, key=lambda each: each.like_the_rest).who if found.left_out else ""
    return Found(float(np.mean(inside)), float(np.mean(known)), least == "reversed", found)


def print_panels(worlds: int) -> None:
    """Shares of true strengths, and of place and length effects, within their intervals; weights; the odd one."""
    print(f"{worlds} worlds of {ADAPTERS} adapters × {THEMES} themes, blocks of 4\n")
    print(f"{'panel':44} {'strengths':>9} {'habits':>7} {'weights: reads, guesses, reversed':>34} {'odd found':>9}")
    for name, panel in {
        "one judge": Panel.of(1, taste=0.0, luck=0.0),
        "3 read, of one taste": Panel.of(3, taste=0.0, luck=0.0),
        "3 read, tastes 0.3": Panel.of(3, taste=0.3, luck=0.0),
        "5 read, tastes 0.3": Panel.of(5, taste=0.3, luck=0.0),
        "5 read, 1 guesses, 1 reversed, tastes 0.3": Panel.of(5, "guesses", "reversed", taste=0.3, luck=0.0),
        "the same, texts have luck 0.5": Panel.of(5, "guesses", "reversed", taste=0.3, luck=0.5),
        "3 read, 1 guesses, 1 reversed, tastes 0.3": Panel.of(3, "guesses", "reversed", taste=0.3, luck=0.0),
    }.items():
        found = [tried(panel, seed) for seed in range(worlds)]
        mean = {judge: np.mean([_weight(each.standings, judge) for each in found]) for judge in panel.judges}
        reads = np.mean([weight for judge, weight in mean.items() if judge.startswith("reads")])
        others = [f"{mean[judge]:.2f}" if judge in mean else "–" for judge in ("guesses", "reversed")]
        odd = f"{np.mean([each.odd for each in found]):.3f}" if "reversed" in panel.judges else "–"
        strengths, habits = np.mean([each.strengths for each in found]), np.mean([each.habits for each in found])
        print(
            f"{name:44} {strengths:9.3f} {habits:7.3f} {', '.join([f'{reads:.2f}', *others]):>34} {odd:>9}", flush=True
        )


def _weight(standings: Standings, judge: str) -> float:
    return next(each.weight for each in standings.panel if each.judge == judge)
