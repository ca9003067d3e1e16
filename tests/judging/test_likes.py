"""What a judge likes beside who wrote: recovered with its error, told only where there is data enough to tell."""

import numpy as np

from harness.judging.likes import Like, likes, said_of_likes
from harness.judging.verdicts import Verdict, VerdictKind
from harness.textstats.traits import traits

ADAPTERS = ["a", "b", "c", "d"]


def _likes(worth: float, *, themes: int = 60, varied: bool = True) -> list[Like]:
    """Of a judge to whom a standard deviation of lines is worth so much, and repetition nothing."""
    rng = np.random.default_rng(0)
    verdicts: list[Verdict] = []
    told: dict[str, dict[str, float]] = {}
    for theme in range(themes):
        values = rng.normal(size=(4, 2)) if varied else np.ones((4, 2))
        ids = [f"{theme}{adapter}" for adapter in ADAPTERS]
        told |= {
            sample: {"lines": 5 + 3 * one, "repetition": two} for sample, (one, two) in zip(ids, values, strict=True)
        }
        seen = np.linspace(0.6, -0.6, 4) + worth * values[:, 0] + rng.gumbel(size=4)
        order = np.argsort(-seen).tolist()
        verdicts.append(
            Verdict(
                judge="j",
                kind=VerdictKind.RANKING,
                theme=str(theme),
                ids=ids,
                adapters=ADAPTERS,
                lengths=rng.integers(5, 60, 4).tolist(),
                order=order,
            )
        )
    return likes(verdicts, told, ADAPTERS).get("j", [])


def test_what_a_judge_likes_is_recovered_and_what_it_does_not_care_for_is_not_told() -> None:
    lines, repetition = _likes(0.6)
    assert abs(lines.value - 0.6) < 3 * lines.stderr and lines.matters and lines.stderr < 0.25
    assert abs(repetition.value) < 3 * repetition.stderr
    said = said_of_likes("j", [lines, Like("repetition", 0.1, 0.2)])
    assert said is not None and "lines +0." in said and "repetition" not in said
    assert said_of_likes("j", [Like("lines", 0.5, 0.4)]) is None


def test_too_few_verdicts_or_texts_all_alike_tell_nothing() -> None:
    assert _likes(0.6, themes=20) == []
    assert _likes(0.6, varied=False) == []


def test_lines_repetition_and_stock_words_are_read_off_a_text() -> None:
    plain = traits("the crane stands\nin the cold river\nnear the mill")
    worn = traits("a tapestry whispers\na tapestry whispers\na tapestry whispers")
    assert plain["stock words"] == 0 and worn["stock words"] > 0.5
    assert worn["repetition"] > 0.5 > plain["repetition"] and plain["lines"] == worn["lines"]
    assert traits("岁月静静流淌")["stock words"] == 1 and traits("")["repetition"] == 0
