"""Many questions at once, each by itself: what the budget leaves no call for is left out, the rest is done.

Knows nothing of what is asked.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from harness.errors import BudgetSpentError

Job = TypeVar("Job")
Done = TypeVar("Done")


@dataclass(frozen=True)
class Answers(Generic[Done]):
    """`done`: by the number of the job, from 0. `spent`: the limit that left others out, in words."""

    done: dict[int, Done]
    spent: str | None


async def answers(
    jobs: Sequence[Job], work: Callable[[Job], Awaitable[Done]], *, at_once: int, tell: Callable[[Done], object]
) -> Answers[Done]:
    """What came of each job. Once the budget is spent, the rest is still tried: what is in a cache costs nothing.

    Raises:
        Exception: whatever one of them raised but for a spent budget, after those under way have finished.
    """
    waiting, done = iter(enumerate(jobs)), dict[int, Done]()
    spent: list[BudgetSpentError] = []
    trouble: list[Exception] = []

    async def worker() -> None:
        for number, job in waiting:
            if trouble:
                return
            try:
                done[number] = await work(job)
                tell(done[number])
            except BudgetSpentError as error:
                spent.append(error)
            except Exception as error:
                trouble.append(error)

    await asyncio.gather(*(worker() for _ in range(at_once)))
    if trouble:
        raise trouble[0]
    return Answers(done, str(spent[0]) if spent else None)
