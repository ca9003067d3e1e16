"""Who judges: the rubric, the endpoints behind it, a local server where one is to be started, and the budget.

Knows nothing of what is judged.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager

from harness.config.paths import MLRUNS
from harness.config.schema import JudgeConfig
from harness.console.progress import Display
from harness.judging.rubric import Rubric
from harness.judging.verdicts import Judge
from harness.llm.cache import ReplyCache
from harness.llm.chat import Chat
from harness.llm.configured import endpoint_of, limits_of, other_endpoint
from harness.llm.endpoint import Endpoint
from harness.llm.spending import Spending


def rubric_of(judge: JudgeConfig) -> Rubric:
    return Rubric(judge.task, judge.criteria)


def spending_of(judge: JudgeConfig) -> Spending:
    return Spending(limits_of(judge, settings="judge"))


@asynccontextmanager
async def open_judges(judge: JudgeConfig, spending: Spending, display: Display) -> AsyncIterator[list[Judge]]:
    """The judges, each tried once.

    Raises:
        HarnessError: when one cannot be asked.
    """
    cache = ReplyCache(MLRUNS / "cache" / "replies.sqlite")
    rubric = rubric_of(judge)
    async with AsyncExitStack() as stack:
        judges = []
        for endpoint in stack.enter_context(endpoints(judge)):
            chat = await stack.enter_async_context(Chat(endpoint, spending, cache))
            if (warning := await chat.probe()) is not None:
                display.say(f"warning: {warning}")
            judges.append(Judge(endpoint.name, chat.ask, rubric))
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
def endpoints(judge: JudgeConfig) -> Iterator[list[Endpoint]]:
    """The judges' endpoints; a local server is there inside."""
    assert judge.model is not None, "check_judge comes first"
    second = judge.second_model
    others = (
        []
        if second is None
        else [other_endpoint(judge, second, judge.second_base_url, judge.second_key_env, settings="judge")]
    )
    if not judge.serve:
        yield [endpoint_of(judge, settings="judge"), *others]
        return
    from harness.models.served import served_model  # loads MLX, which other judges do without

    with served_model(judge.model, setting="judge.model") as url:
        yield [endpoint_of(judge, settings="judge", served_at=url), *others]
