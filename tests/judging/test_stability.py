"""A judge is asked the same again, past the cache of its first reply."""

import asyncio
import json
from pathlib import Path

import numpy as np

from benchmarks.people import WORDS, Pupil
from harness.judging.blocks import Block, Candidate
from harness.judging.stability import Stability, repeated
from harness.judging.verdicts import Judge, Verdict
from tests.judge_server import Habits
from tests.judging.served import work

BLOCKS = [
    Block(f"t{theme}", [Candidate(f"{theme}{word}", word, f"t{theme}", "0", word, 1) for word in WORDS[:4]])
    for theme in range(12)
]


def _stability(noise: float) -> Stability:
    judge = Pupil(np.array([3.0, 2.0, 1.0, 0.0, 0.0, 0.0]), np.random.default_rng(0), noise=noise).judge()

    async def ask() -> list[Stability]:
        verdicts = [await judge.rank(block) for block in BLOCKS]
        return (await repeated([judge], BLOCKS, verdicts))[0]

    (found,) = asyncio.run(ask())
    return found


def test_a_judge_that_says_the_same_is_told_from_one_that_guesses() -> None:
    sure, guesses = _stability(0.0), _stability(99.0)
    assert (sure.same, sure.stderr, sure.calls) == (1.0, 0.0, 12) and "100%" in sure.said
    assert abs(guesses.same - 0.5) < 0.15 and guesses.stderr is not None and "hardly more than chance" in guesses.said


def test_the_cache_does_not_answer_a_repeat_but_keeps_it_for_the_next_time(tmp_path: Path) -> None:
    """An endpoint that never says the same twice."""
    said = iter([["A", "B", "C", "D"], ["D", "C", "B", "A"]])

    def says(question: str) -> str:
        labels = next(said)
        return json.dumps({"ranking": labels, "top": labels[0], "explanation": ""})

    async def ask(judges: list[Judge]) -> tuple[list[Stability], list[Verdict]]:
        verdicts = [await judges[0].rank(BLOCKS[0])]
        return await repeated(judges, BLOCKS[:1], verdicts)

    async def twice(judges: list[Judge]) -> list[float]:
        return [(await ask(judges))[0][0].same for _ in range(2)]

    found, spending = work(Habits(says=says), tmp_path, twice)
    assert found == [0.0, 0.0] and (spending.calls, spending.cached) == (2, 2)


def test_a_block_that_could_not_be_read_is_not_repeated(tmp_path: Path) -> None:
    found, spending = work(Habits(), tmp_path, lambda judges: repeated(judges, BLOCKS[:2], []))
    assert found == ([], []) and spending.calls == 0
