"""Who judges: the rubric, the endpoints behind it, a local server where one is to be started, and the budget.

Knows nothing of what is judged.
"""

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager

from harness.config.paths import MLRUNS
from harness.config.schema import JudgeConfig, ModelConfig
from harness.console.progress import Display
from harness.judging.rubric import Rubric
from harness.judging.verdicts import Judge
from harness.llm.cache import ReplyCache
from harness.llm.chat import Chat
from harness.llm.endpoint import Endpoint
from harness.llm.serve import SERVED, served
from harness.llm.spending import Limits, Spending


def rubric_of(judge: JudgeConfig) -> Rubric:
    return Rubric(judge.task, judge.criteria)


def spending_of(judge: JudgeConfig) -> Spending:
    return Spending(
        Limits(
            calls=judge.max_calls,
            tokens=judge.max_tokens,
            cost=judge.max_cost,
            price_in=judge.price_in,
            price_out=judge.price_out,
        )
    )


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
        local_folder(judge)
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
    others = [] if second is None else [_endpoint(judge, second, judge.second_base_url, judge.second_key_env)]
    if not judge.serve:
        first = _endpoint(judge, judge.model, judge.base_url, judge.key_env)
        yield [dataclasses.replace(first, template_args=judge.template_args), *others]
        return
    with served(local_folder(judge)) as url:
        local = _endpoint(judge, SERVED, url, None)
        name = f"{judge.model} (served here)"
        yield [dataclasses.replace(local, name=name, template_args=judge.template_args), *others]


def local_folder(judge: JudgeConfig) -> str:
    """Of the judge that is to be served; fetched if it is a hub name that is not here yet.

    Raises:
        HarnessError: when there is no such model, or a file of its weights is not whole.
    """
    from harness.models.base import open_base  # loads MLX, which other judges do without
    from harness.models.weights_file import read_metadata

    folder = open_base(ModelConfig(path=judge.model, revision=None), setting="judge.model").folder
    for file in sorted(folder.glob("model*.safetensors")):
        read_metadata(file)
    return str(folder)


def _endpoint(judge: JudgeConfig, model: str, base_url: str | None, key_env: str | None) -> Endpoint:
    return Endpoint(
        base_url=base_url,
        model=model,
        name=model if base_url is None else f"{model} at {base_url}",
        key_env=key_env,
        timeout_seconds=judge.timeout_seconds,
        retries=judge.retries,
        concurrency=judge.concurrency,
        temperature=judge.temperature,
        max_tokens=judge.reply_tokens,
    )
