"""What can be said of texts without a judge: rhythm, the author's words, novelty, memory, refusals, loops.

Chinese is counted in characters, other languages in words. Knows nothing of models.
"""

import dataclasses
import itertools
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from rapidfuzz import fuzz

from harness.data.refusals import refusal_in
from harness.data.units import lines, sentences, units
from harness.textstats.corpus import GRAM, Corpus

_LOOP = 3  # times the same words one after the other
_LONGEST_PERIOD = 40
_PAIRS = 2000  # at most, for diversity


@dataclass(frozen=True, kw_only=True)
class Measures:
    """One text, or the means over several.

    Lengths in units. `…_variation`: standard deviation over mean. Shares are 0 to 1: `own_words` of units that are the
    author's own, `novel` of different units that the prompt does not have, `copied` of the prompt's GRAMs that the text
    repeats, `memorised` of the text's GRAMs that stand in the training texts, `loops` of the text in repetitions.
    `memorised_run` and `copied_run`: the longest run taken from training texts, or from the prompt (0 below GRAM).
    """

    length: float
    line_length: float
    line_variation: float
    sentence_length: float
    sentence_variation: float
    own_words: float
    novel: float
    copied: float
    copied_run: float
    memorised: float
    memorised_run: float
    refusals: float
    loops: float


NAMES = [field.name for field in dataclasses.fields(Measures)]


@dataclass(frozen=True)
class Written:
    """A text, and the prompt's own words: its theme or input, without what is always around it."""

    theme: str
    variant: str
    text: str


def measure(written: Written, corpus: Corpus, *, memory: bool = True) -> Measures:
    """`memory`: whether to look for the text in the corpus; it makes no sense for one of the corpus itself."""
    found = units(written.text)
    prompt = Corpus([written.theme])
    run, memorised = corpus.taken(written.text) if memory else (0, 0.0)
    copied_run, _ = prompt.taken(written.text)
    line_length, line_variation = _spread([len(units(line)) for line in lines(written.text)])
    sentence_length, sentence_variation = _spread([len(units(part)) for part in sentences(written.text)])
    different, given = set(found), set(units(written.theme))
    return Measures(
        length=len(found),
        line_length=line_length,
        line_variation=line_variation,
        sentence_length=sentence_length,
        sentence_variation=sentence_variation,
        own_words=sum(unit in corpus.own for unit in found) / len(found) if found else 0.0,
        novel=len(different - given) / len(different) if different else 0.0,
        copied=Corpus([written.text]).taken(written.theme)[1],
        copied_run=copied_run,
        memorised=memorised,
        memorised_run=run,
        refusals=float(refusal_in(written.text) is not None),
        loops=_looped(found),
    )


def means(measured: Sequence[Measures]) -> Measures:
    return Measures(**{name: statistics.fmean(getattr(each, name) for each in measured) for name in NAMES})


@dataclass(frozen=True, kw_only=True)
class Diversity:
    """0 to 1: one less the likeness of two texts on a theme, `within` a variant and `across` them; None without pairs.

    `distinct`: share of pairs of neighbouring units that occur once, over all texts.
    """

    within: float | None
    across: float | None
    distinct: float


def diversity(written: Sequence[Written]) -> Diversity:
    within: list[float] = []
    across: list[float] = []
    for _, of_theme in itertools.groupby(sorted(written, key=lambda each: each.theme), lambda each: each.theme):
        for one, other in itertools.islice(itertools.combinations(of_theme, 2), _PAIRS):
            found = 1 - fuzz.ratio(one.text, other.text) / 100
            (within if one.variant == other.variant else across).append(found)
    pairs = [pair for each in written for pair in itertools.pairwise(units(each.text))]
    return Diversity(
        within=statistics.fmean(within) if within else None,
        across=statistics.fmean(across) if across else None,
        distinct=len(set(pairs)) / len(pairs) if pairs else 0.0,
    )


def _spread(lengths: Sequence[int]) -> tuple[float, float]:
    """Mean, and standard deviation over mean."""
    if not lengths:
        return 0.0, 0.0
    mean = statistics.fmean(lengths)
    return mean, statistics.pstdev(lengths) / mean if mean else 0.0


def _looped(found: Sequence[str]) -> float:
    """The share of units in stretches that say the same words _LOOP times or more, one after the other."""
    looped = [False] * len(found)
    for period in range(1, min(_LONGEST_PERIOD, len(found) // _LOOP) + 1):
        start = None
        for at in range(period, len(found) + 1):
            same = at < len(found) and found[at] == found[at - period]
            if same and start is None:
                start = at - period
            elif not same and start is not None:
                # a single unit that comes back is style up to a point: ha ha ha
                if at - start >= max(_LOOP * period, GRAM):
                    looped[start:at] = [True] * (at - start)
                start = None
    return sum(looped) / len(found) if found else 0.0
