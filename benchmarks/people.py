"""Simulated people and judges that learn their taste, for benchmarks.judging --people: does teaching help, and when.

A text is words of a small vocabulary; a taste gives each word its worth. A judge has one of its own, and moves towards
what the examples in its rubric have more of when they were accepted. It knows the rubric's tags alone.
"""

import asyncio
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from harness.judging.decided import Decided, plan
from harness.judging.rubric import Rubric
from harness.judging.teaching import Lesson, teach
from harness.judging.verdicts import Judge, JudgeReply

WORDS = ["sea", "stone", "lamp", "snow", "crow", "salt"]
_EXAMPLE = re.compile(r"<example (accepted|rejected) (\w+)>\n(.*?)\n</example \2>", re.DOTALL)
_TEXT = re.compile(r"<text ([A-H]) (\w+)>\n(.*?)\n</text \2>", re.DOTALL)


@dataclass(frozen=True)
class _Said:
    text: str
    why: str | None = None
    answered: bool = True
    cached: bool = False
    seconds: float = 0.0


def features(text: str) -> np.ndarray[Any, Any]:
    """How often each word of the vocabulary stands in it."""
    return np.array([text.split().count(word) for word in WORDS], float)


@dataclass
class Pupil:
    """`learns`: how far a difference between accepted and rejected examples moves its taste."""

    taste: np.ndarray[Any, Any]
    rng: np.random.Generator
    learns: float = 2.0
    noise: float = 1.0
    told: list[str] = field(default_factory=list)  # the system message of each call

    async def ask(self, messages: Sequence[dict[str, str]], schema: Any, *, repeat: int = 0) -> JudgeReply:
        system, user = messages[0]["content"], messages[1]["content"]
        self.told.append(system)
        shown = _EXAMPLE.findall(system)
        taste = self.taste
        if shown:
            liked, other = (
                np.mean([features(text) for kind, _, text in shown if kind == each], axis=0)
                for each in ("accepted", "rejected")
            )
            taste = taste + self.learns * (liked - other)
        texts = _TEXT.findall(user)
        worths = [features(text) @ taste + self.noise * self.rng.gumbel() for *_, text in texts]
        labels = [texts[place][0] for place in np.argsort(-np.array(worths))]
        return _Said(json.dumps({"ranking": labels, "top": labels[0], "explanation": "so"}))

    def judge(self, name: str = "pupil") -> Judge:
        return Judge(name, self.ask, Rubric("You compare poems.", {"theme": "about it"}))


def decided_by(
    taste: np.ndarray[Any, Any] | None, rng: np.random.Generator, *, themes: int, each: int = 4
) -> list[Decided]:
    """A person accepts the better half of the texts on a theme; without a taste, half of them by chance."""
    found = []
    for theme in range(themes):
        texts = [" ".join(rng.choice(WORDS, 8)) for _ in range(each)]
        worths = rng.normal(size=each) if taste is None else np.array([features(text) @ taste for text in texts])
        order = np.argsort(-worths)
        for rank, at in enumerate(order):
            decision = "accept" if rank < each // 2 else "delete"
            found.append(Decided(f"{theme}-{at}", f"t{theme}", texts[at], decision, 8))
    return found


PERSON = np.array([2.0, 1.0, 0.0, 0.0, -1.0, -2.0])  # likes the sea, and no salt
JUDGE = np.array([-0.5, 0.0, 1.0, 0.0, 0.0, 0.5])  # likes lamps, and salt rather than the sea


def taught(taste: np.ndarray[Any, Any] | None, seed: int, *, themes: int, learns: float = 2.0) -> Lesson:
    """What a lesson by a person of this taste comes to; None: they decide by chance."""
    rng = np.random.default_rng([seed, themes])
    decided = decided_by(taste, rng, themes=themes)
    pupil = Pupil(JUDGE, rng, learns=learns)
    decisions = {each.id: each.decision for each in decided}
    return asyncio.run(teach([pupil.judge()], plan(decided, size=4, seed=seed), decisions))


def print_people(worlds: int) -> None:
    """Agreement on the half held out, before and after, and how often the lesson was used."""
    print(f"{worlds} worlds each, four texts a theme, the better half accepted; means\n")
    print(f"{'person':34} {'themes':>6} {'before':>7} {'after':>7} {'gain':>7} {'its error':>9} {'used':>6}")
    for name, taste, learns in (
        ("with a taste", PERSON, 2.0),
        ("with a taste, a judge that is slow", PERSON, 1.0),
        ("who decides by chance", None, 2.0),
        ("with a taste, a judge learns none", PERSON, 0.0),
    ):
        for themes in (12, 24, 48):
            found = [taught(taste, seed, themes=themes, learns=learns) for seed in range(worlds)]
            lessons = [
                (each.before.value, each.after.value, each.gain, each.stderr)
                for each in found
                if each.before and each.after
            ]
            before, after, gain, error = np.mean(np.array(lessons, float), axis=0)
            used = np.mean([each.used for each in found])
            print(f"{name:34} {themes:6} {before:7.3f} {after:7.3f} {gain:+7.3f} {error:9.3f} {used:6.3f}", flush=True)
