"""Ways to rank adapters by a judge, on judges of known preferences: python -m benchmarks.judging

12 adapters × 30 themes × 5 variants. A text is worth its adapter's strength and what luck made of it; a judge sees that
with noise, likes what stands first, and in the second column tires: its noise grows with each text that it must keep in
mind. Blocks, rankings and rounds are those of harness.judge; the other designs are written out here.
"""

import asyncio
import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import click
import numpy as np
from scipy.stats import kendalltau

from benchmarks.panels import print_panels
from benchmarks.people import print_people
from harness.judging.anchors import ANCHOR, win_rate
from harness.judging.blocks import Block, Candidate, slots
from harness.judging.contest import hold, standings_of
from harness.judging.verdicts import Verdict, VerdictKind

ADAPTERS, THEMES, VARIANTS = 12, 30, 5


@dataclass
class World:
    """Strengths of adapters and worths of their texts [adapter, theme, variant], and a judge of them."""

    rng: np.random.Generator
    tires: bool
    strengths: np.ndarray = field(init=False)
    worths: np.ndarray = field(init=False)
    calls: int = 0
    name: str = "j"
    family: str = "j"

    def __post_init__(self) -> None:
        self.strengths = self.rng.normal(0, 0.3, ADAPTERS)
        luck = self.rng.normal(0, 1, (ADAPTERS, THEMES, VARIANTS))
        self.worths = self.strengths[:, None, None] + luck

    def order(self, worths: list[float]) -> list[int]:
        """One call: the places of the best to the worst."""
        self.calls += 1
        noise = 1.0 + (0.35 * (len(worths) - 2) if self.tires else 0.0)
        seen = np.array(worths) + noise * self.rng.normal(0, 1, len(worths))
        seen[0] += 0.5
        return np.argsort(-seen).tolist()

    def score(self, worth: float) -> int:
        """One call: 1 to 5, in which judges hardly go below 3, and go up and down together with the day."""
        self.calls += 1
        return int(np.clip(round(3.6 + 0.5 * (worth + self.rng.normal(0, 1.2))), 1, 5))

    async def rank(self, block: Block, kind: VerdictKind = VerdictKind.RANKING) -> Verdict:
        """As harness.judging.verdicts.Judge, for `hold` and `win_rate`."""
        order = self.order([self.worths[self.place(entry)] for entry in block.entries])
        adapters, lengths = [e.adapter for e in block.entries], [e.length for e in block.entries]
        ids = [entry.id for entry in block.entries]
        return Verdict(
            judge="j", kind=kind, theme=block.theme, ids=ids, adapters=adapters, lengths=lengths, order=order
        )

    def place(self, entry: Candidate) -> tuple[int, int, int]:
        return int(entry.adapter), int(entry.theme), int(entry.slot)


def batches_of_ten(world: World) -> np.ndarray:
    """P8: the texts of a theme in batches of ten, the best of each in a final; who stands in its top five."""
    points = np.zeros(ADAPTERS)
    for theme in range(THEMES):
        texts = list(itertools.product(range(ADAPTERS), range(VARIANTS)))
        world.rng.shuffle(texts)
        final = []
        for begin in range(0, len(texts), 10):
            batch = texts[begin : begin + 10]
            order = world.order([world.worths[a, theme, v] for a, v in batch])
            final += [batch[order[0]]]
        order = world.order([world.worths[a, theme, v] for a, v in final])
        for rank, place in enumerate(order[:5]):
            points[final[place][0]] += 5 - rank
    return points


def absolute(variants: int) -> Callable[[World], np.ndarray]:
    def run(world: World) -> np.ndarray:
        return np.array(
            [
                np.mean([world.score(world.worths[a, t, v]) for t in range(THEMES) for v in range(variants)])
                for a in range(ADAPTERS)
            ]
        )

    return run


def against_baseline(world: World) -> np.ndarray:
    """Each adapter against the first, in both orders, on every theme."""
    points = np.zeros(ADAPTERS)
    for a, theme in itertools.product(range(1, ADAPTERS), range(THEMES)):
        pair = [world.worths[a, theme, 0], world.worths[0, theme, 0]]
        points[a] += (world.order(pair)[0] == 0) + (world.order(pair[::-1])[0] == 1) - 1
    return points


def swiss(world: World) -> np.ndarray:
    """Rounds of pairs of adapters that won as often; each meeting on one text of either."""
    points = np.zeros(ADAPTERS)
    for meeting in range(THEMES * VARIANTS):
        theme, variant = meeting % THEMES, meeting // THEMES
        order = np.argsort(-(points + 0.01 * world.rng.random(ADAPTERS)))
        for one, other in zip(order[::2], order[1::2], strict=True):
            shown = [one, other] if world.rng.random() < 0.5 else [other, one]
            winner = shown[world.order([world.worths[a, theme, variant] for a in shown])[0]]
            points[winner] += 1
    return points


def blocks(size: int, *, adaptive: bool = False) -> Callable[[World], np.ndarray]:
    """Ours."""

    def run(world: World) -> np.ndarray:
        places = itertools.product(range(VARIANTS), range(THEMES), range(ADAPTERS))
        entries = [Candidate(f"{a}-{t}-{v}", str(a), str(t), str(v), "", 40) for v, t, a in places]
        assert len(slots(entries)) == VARIANTS
        contest = asyncio.run(hold([world], entries, block=size, seed=0, adaptive=adaptive))  # type: ignore[list-item]
        assert contest.standings is not None
        values = {rating.adapter: rating.value for rating in contest.standings.ratings}
        return np.array([values[str(a)] for a in range(ADAPTERS)])

    return run


DESIGNS: dict[str, Callable[[World], np.ndarray]] = {
    "batches of 10, then a final (P8)": batches_of_ten,
    "one absolute score a text, 1 variant": absolute(1),
    "one absolute score a text, all": absolute(VARIANTS),
    "both orders against one baseline": against_baseline,
    "Swiss pairs": swiss,
    "harness.judge, blocks of 4, all texts": blocks(4),
    "harness.judge, blocks of 6, all texts": blocks(6),
    "harness.judge as it is (blocks of 4, undecided only)": blocks(4, adaptive=True),
}


@click.command()
@click.option(
    "--worlds",
    type=int,
    help="Sets of adapters, the same for all designs.  [default: 40; with --ties, --panels and --people 200]",
)
@click.option("--ties", is_flag=True, help="Instead: how often equals are told apart, and what the intervals cover.")
@click.option("--panels", is_flag=True, help="Instead: judges of known tastes and habits, a random and a reversed one.")
@click.option("--people", is_flag=True, help="Instead: judges taught by a person with a taste, and by one without.")
def main(worlds: int | None, ties: bool, panels: bool, people: bool) -> None:
    """Print calls and Kendall's tau of each design, means over worlds."""
    if ties:
        print_ties(worlds or 200)
    elif panels:
        print_panels(worlds or 200)
    elif people:
        print_people(worlds or 200)
    else:
        print_designs(worlds or 40)


def print_designs(worlds: int) -> None:
    print(f"{ADAPTERS} adapters × {THEMES} themes × {VARIANTS} variants, {worlds} worlds\n")
    print(f"{'design':54} {'calls':>6} {'tau':>12} {'tiring judge':>14}")
    for name, design in DESIGNS.items():
        found = {tires: [_one(design, seed, tires) for seed in range(worlds)] for tires in (False, True)}
        calls = np.mean([calls for calls, _ in found[False]])
        taus = [np.array([tau for _, tau in found[tires]]) for tires in (False, True)]
        said = [f"{tau.mean():.2f} ± {tau.std(ddof=1) / np.sqrt(worlds):.2f}" for tau in taus]
        print(f"{name:54} {calls:6.0f} {said[0]:>12} {said[1]:>14}", flush=True)
    print_errors()


@dataclass
class Field:
    """A judge whose rankings are Plackett and Luce's own, of adapters of these strengths, [adapter].

    `suits`: how much more or less an adapter is worth on a theme, in all its texts there: a standard deviation.
    """

    strengths: np.ndarray
    themes: int
    variants: int
    suits: float
    rng: np.random.Generator
    name: str = "j"
    family: str = "j"

    def __post_init__(self) -> None:
        self.own = self.suits * self.rng.normal(size=(len(self.strengths), self.themes))

    @property
    def entries(self) -> list[Candidate]:
        lengths = self.rng.integers(5, 60, (self.variants, self.themes, len(self.strengths)))
        places = itertools.product(range(self.variants), range(self.themes), range(len(self.strengths)))
        return [Candidate(f"{a}-{t}-{v}", str(a), str(t), str(v), "", int(lengths[v, t, a])) for v, t, a in places]

    async def rank(self, block: Block, kind: VerdictKind = VerdictKind.RANKING) -> Verdict:
        who, lengths = [int(e.adapter) for e in block.entries], [e.length for e in block.entries]
        seen = self.strengths[who] + self.own[who, int(block.theme)] + 0.3 * np.log1p(lengths)
        seen += self.rng.gumbel(size=len(who)) + 0.5 * (np.arange(len(who)) == 0)
        ids, order = [e.id for e in block.entries], np.argsort(-seen).tolist()
        names = [e.adapter for e in block.entries]
        return Verdict(judge="j", kind=kind, theme=block.theme, ids=ids, adapters=names, lengths=lengths, order=order)


def print_ties(worlds: int) -> None:
    """Of worlds of equals: in how many more than one group was made. Beside it the share of true strengths within
    the intervals, of equals and of adapters whose strengths differ by a standard deviation of 0.7, and the time."""
    print(f"{worlds} worlds, blocks of 4\n")
    print(f"{'':34} {'adapters':>8} {'themes':>7} {'split':>7} {'covered':>8} {'unequal':>8} {'ms a ranking':>13}")
    for name, variants, suits in (
        ("one text a theme", 1, 0.0),
        ("3 texts, 3 looks, themes suit some", 3, 0.7),
    ):
        for count, themes in itertools.product((2, 8, 20), (5, 30, 100)):
            equal = [_tried(np.zeros(count), themes, variants, suits, seed) for seed in range(worlds)]
            drawn = [np.random.default_rng([seed, count]).normal(0, 0.7, count) for seed in range(worlds)]
            other = (
                []
                if suits
                else [_tried(each - each.mean(), themes, variants, suits, seed) for seed, each in enumerate(drawn)]
            )
            split, covered = np.mean([each[0] for each in equal]), np.mean([each[1] for each in equal])
            unequal = f"{np.mean([each[1] for each in other]):8.3f}" if other else f"{'':8}"
            took = 1000 * np.median([each[2] for each in equal])
            print(f"{name:34} {count:8} {themes:7} {split:7.3f} {covered:8.3f} {unequal} {took:13.0f}", flush=True)


def _tried(strengths: np.ndarray, themes: int, variants: int, suits: float, seed: int) -> tuple[bool, float, float]:
    """Whether more than one group was made, the share of strengths within their intervals, seconds of a ranking."""
    field_ = Field(strengths, themes, variants, suits, np.random.default_rng([seed, len(strengths), themes]))
    contest = asyncio.run(hold([field_], field_.entries, block=4, seed=seed))  # type: ignore[list-item]
    found = contest.standings
    assert found is not None
    names = [str(number) for number in range(len(strengths))]
    begin = time.perf_counter()
    standings_of(contest.verdicts, names, seed)
    took = time.perf_counter() - begin
    inside = [rating.low <= strengths[int(rating.adapter)] <= rating.high for rating in found.ratings]
    return found.ratings[-1].tie > 1, float(np.mean(inside)), took


def print_errors(runs: int = 200) -> None:
    """The score of a search: what it says of its error, and how far it is off when the texts are drawn again."""
    print(f"\n{'anchored score':20} {'calls':>6} {'its standard error':>20} {'spread over new texts':>24}")
    for texts in (30, 60, 150):
        rates = []
        for seed in range(runs):
            rng = np.random.default_rng(seed)
            judge = Anchored(np.random.default_rng(7).normal(0, 1, (texts, 3)), rng.normal(0.3, 1, texts), rng)
            blocks = [Block(str(t), judge.block(t)) for t in range(texts)]
            rates.append(asyncio.run(win_rate([judge], blocks, at_once=8)).rate)  # type: ignore[list-item]
        said = np.mean([rate.stderr for rate in rates])
        spread = np.std([rate.value for rate in rates if rate.value is not None])
        print(f"{texts:3} themes, 3 anchors {texts:6} {said:20.3f} {spread:24.3f}")


@dataclass
class Anchored:
    """Frozen anchors [theme, 3], new texts [theme], a judge with noise."""

    anchors: np.ndarray
    texts: np.ndarray
    rng: np.random.Generator
    name: str = "j"
    family: str = "j"

    def block(self, theme: int) -> list[Candidate]:
        entries = [Candidate(f"{theme}-{n}", ANCHOR, str(theme), str(n), "", 40) for n in range(3)]
        return [Candidate(str(theme), "ours", str(theme), "0", "", 40), *entries]

    async def rank(self, block: Block, kind: VerdictKind = VerdictKind.RANKING) -> Verdict:
        theme = int(block.theme)
        worths = np.array([self.texts[theme], *self.anchors[theme]]) + self.rng.normal(0, 1, 4)
        adapters, ids = [e.adapter for e in block.entries], [e.id for e in block.entries]
        order = np.argsort(-worths).tolist()
        return Verdict(
            judge="j", kind=kind, theme=block.theme, ids=ids, adapters=adapters, lengths=[40] * 4, order=order
        )


def _one(design: Callable[[World], np.ndarray], seed: int, tires: bool) -> tuple[int, float]:
    world = World(np.random.default_rng(seed), tires)
    found = design(world)
    return world.calls, float(kendalltau(world.strengths, found)[0])


if __name__ == "__main__":
    main(prog_name="python -m benchmarks.judging")
