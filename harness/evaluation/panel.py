"""Who judges: the rubric, the endpoints behind it, a local server where one is to be started, and the budget.

Knows nothing of what is judged.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from enum import Enum

from harness.config.panel import Seat, seats_of
from harness.config.paths import MLRUNS
from harness.config.schema import JudgeConfig
from harness.console.progress import Display
from harness.errors import BudgetSpentError, HarnessError
from harness.judging.rubric import Rubric
from harness.judging.verdicts import Judge
from harness.llm.cache import ReplyCache
from harness.llm.chat import Chat
from harness.llm.configured import endpoint_of, limits_of, other_endpoint
from harness.llm.endpoint import Endpoint
from harness.llm.spending import Spending


class Needed(Enum):
    """Which judges must answer: all, before hours of training; the first, whose score it is; any, of a ranking."""

    ALL = "all"
    FIRST = "first"
    ANY = "any"


def rubric_of(judge: JudgeConfig) -> Rubric:
    return Rubric(judge.task, judge.criteria)


def spending_of(judge: JudgeConfig) -> Spending:
    return Spending(limits_of(judge, settings="judge"))


@asynccontextmanager
async def open_judges(
    judge: JudgeConfig, spending: Spending, display: Display, *, needed: Needed = Needed.ALL
) -> AsyncIterator[list[Judge]]:
    """The judges, each tried once. One that cannot be asked and is not needed is left out, and that is said.

    Raises:
        HarnessError: when one that is needed cannot be asked.
    """
    cache = ReplyCache(MLRUNS / "cache" / "replies.sqlite")
    rubric = rubric_of(judge)
    async with AsyncExitStack() as stack:
        judges = []
        trouble: HarnessError | None = None
        for number, (seat, endpoint) in enumerate(stack.enter_context(endpoints(judge))):
            try:
                chat = await stack.enter_async_context(Chat(endpoint, spending, cache))
                warning = await chat.probe()
            except BudgetSpentError:
                raise
            except HarnessError as error:
                if needed is Needed.ALL or (needed is Needed.FIRST and number == 0):
                    raise
                trouble = trouble or error
                display.say(f"warning: left out of the panel: {error}")
                continue
            if warning is not None:
                display.say(f"warning: {warning}")
            judges.append(Judge(endpoint.name, chat.ask, rubric, family=seat.family))
        if trouble is not None and not judges:
            raise trouble
        yield judges


def try_judges(judge: JudgeConfig, display: Display) -> None:
    """Ask each judge once; a local one is only looked for.

    Raises:
        HarnessError: when one cannot be asked.
    """
    if judge.serve:
        from harness.models.served import local_folder

        assert judge.model is not None, "check_judge comes first"
        local_folder(judge.model, setting="judge.model")
        return

    async def ask() -> None:
        async with open_judges(judge, spending_of(judge), display):
            pass

    asyncio.run(ask())


@contextmanager
def endpoints(judge: JudgeConfig) -> Iterator[list[tuple[Seat, Endpoint]]]:
    """The judges with their endpoints; a local server is there inside."""
    seats = seats_of(judge)
    asked = [
        (seat, other_endpoint(judge, seat.model, seat.base_url, seat.key_env, settings="judge"))
        for seat in seats
        if not seat.served
    ]
    if not judge.serve:
        yield asked
        return
    from harness.models.served import served_model  # loads MLX, which other judges do without

    assert judge.model is not None, "check_judge comes first"
    with served_model(judge.model, setting="judge.model") as url:
        yield [(seats[0], endpoint_of(judge, settings="judge", served_at=url)), *asked]
