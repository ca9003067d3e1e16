"""Many questions at once: each job ends by itself, a spent budget leaves out what costs, trouble ends the rest."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from harness.errors import BudgetSpentError, HarnessError
from harness.llm.many import Answers, answers

Work = Callable[[int], Awaitable[int]]


def run(jobs: range, work: Work, at_once: int = 3) -> tuple[Answers[int], list[int]]:
    told: list[int] = []
    return asyncio.run(answers(jobs, work, at_once=at_once, tell=told.append)), told


def test_each_answer_has_its_jobs_number_however_long_it_took() -> None:
    under_way = most = 0

    async def work(job: int) -> int:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        for _ in range(job % 3):
            await asyncio.sleep(0)
        under_way -= 1
        return 10 * job

    found, told = run(range(1, 8), work)
    assert found == Answers({number: 10 * (number + 1) for number in range(7)}, None)
    assert sorted(told) == sorted(found.done.values()) and most == 3


def test_what_costs_nothing_is_still_answered_when_the_budget_is_spent() -> None:
    async def work(job: int) -> int:
        if job in (2, 3):
            raise BudgetSpentError("max_calls=2 is spent")
        return job

    assert run(range(6), work)[0] == Answers({0: 0, 1: 1, 4: 4, 5: 5}, "max_calls=2 is spent")


def test_trouble_is_raised_after_those_under_way_have_finished() -> None:
    finished: list[int] = []

    async def work(job: int) -> int:
        if job == 1:
            raise HarnessError("nobody is there")
        await asyncio.sleep(0)
        finished.append(job)
        return job

    with pytest.raises(HarnessError, match="nobody is there"):
        run(range(9), work)
    assert finished == [0]  # it had begun; the others had not
