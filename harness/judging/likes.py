"""What else a judge's rankings go with, beyond who wrote a text, where it stood and how long it is.

Each trait is fitted beside these, in standard deviations of it, so that texts of one adapter tell its effect. It is
told and *not* taken out of the ratings: a judge that puts repetition last is right to. Knows no text.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from harness.judging.plackett_luce import Ranked, Rankings
from harness.judging.spread import pulls_of, spread_of
from harness.judging.verdicts import Verdict

_LEAST_VERDICTS = 30  # of a judge, to tell anything
_LEAST_VARIED = 0.1  # of the texts differ from the commonest value of a trait
_FARTHEST = 2.5  # standard deviations: one odd text is not all that is known of a trait
_MATTERS = (0.15, 2.0)  # logits a standard deviation, and standard errors


@dataclass(frozen=True)
class Like:
    """`value`: what a standard deviation more of the trait is worth to the judge, in logits."""

    trait: str
    value: float
    stderr: float

    @property
    def matters(self) -> bool:
        return abs(self.value) >= _MATTERS[0] and abs(self.value) >= _MATTERS[1] * self.stderr


def likes(
    verdicts: Sequence[Verdict], traits: Mapping[str, Mapping[str, float]], adapters: Sequence[str]
) -> dict[str, list[Like]]:
    """By judge; those and the traits that there is too little to tell of are left out. `traits`: by a text's id."""
    of_judge: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        if verdict.unscored is None:
            of_judge.setdefault(verdict.judge, []).append(verdict)
    found = {judge: _likes(own, traits, adapters) for judge, own in of_judge.items() if len(own) >= _LEAST_VERDICTS}
    return {judge: told for judge, told in found.items() if told}


def said_of_likes(judge: str, told: Sequence[Like]) -> str | None:
    """In a line, where it matters."""
    mattering = [f"{each.trait} {each.value:+.2f} ± {each.stderr:.2f}" for each in told if each.matters]
    if not mattering:
        return None
    return f"{judge} also goes by (a standard deviation more, not taken out): {', '.join(mattering)}"


def _likes(
    verdicts: Sequence[Verdict], traits: Mapping[str, Mapping[str, float]], adapters: Sequence[str]
) -> list[Like]:
    scaled = _scaled({sample: traits[sample] for verdict in verdicts for sample in verdict.ids if sample in traits})
    names = list(next(iter(scaled.values()), {}))
    if not names:
        return []
    nothing = [0.0] * len(names)
    told = {sample: [*of_text.values()] for sample, of_text in scaled.items()}
    ranked = [
        Ranked(each.theme, each.adapters, each.lengths, each.order, traits=[told.get(at, nothing) for at in each.ids])
        for each in verdicts
    ]
    numbers = {theme: number for number, theme in enumerate(sorted({each.theme for each in verdicts}))}
    theme = np.array([numbers[each.theme] for each in verdicts], np.int64)
    if len(numbers) < 2:
        return []
    rankings = Rankings(ranked, adapters)
    fit = rankings.fit()
    spread, one = spread_of(pulls_of(fit, theme, len(numbers)), len(adapters)), np.eye(rankings.size)
    places = range(rankings.length + 1, rankings.size)
    return [
        Like(name, float(fit.value[place]), spread.error(one[place])) for name, place in zip(names, places, strict=True)
    ]


def _scaled(traits: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """About their means in standard deviations; without those in which the texts hardly differ."""
    names = next(iter(traits.values()), {})
    scaled: dict[str, dict[str, float]] = {sample: {} for sample in traits}
    for name in names:
        values = np.array([of_text[name] for of_text in traits.values()])
        _, counts = np.unique(values, return_counts=True)
        if len(values) and 1 - counts.max() / len(values) >= _LEAST_VARIED:
            about = np.clip((values - values.mean()) / values.std(), -_FARTHEST, _FARTHEST)
            for sample, value in zip(traits, about, strict=True):
                scaled[sample][name] = float(value)
    return scaled
