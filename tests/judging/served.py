"""The harness's judges asked over loopback, in a process and with a cache of their own."""

import asyncio
from pathlib import Path
from typing import Any

from harness.judging.rubric import Rubric
from harness.judging.verdicts import Judge
from harness.llm.cache import ReplyCache
from harness.llm.chat import Chat
from harness.llm.endpoint import Endpoint
from harness.llm.spending import Limits, Spending
from tests.judge_server import Habits, judge_server

RUBRIC = Rubric("You compare poems.", {"theme": "about it"})


def work(habits: Habits, folder: Path, ask: Any, limits: Limits | None = None, judges: int = 1) -> tuple[Any, Spending]:
    """What `ask` finds of so many judges of these habits, and what it cost."""
    spending = Spending(limits or Limits())

    async def run(url: str) -> Any:
        endpoint = Endpoint(
            base_url=url,
            model="m",
            name="m",
            key_env=None,
            timeout_seconds=10.0,
            retries=1,
            concurrency=8,
            temperature=None,
            max_tokens=200,
        )
        async with Chat(endpoint, spending, ReplyCache(folder / "replies.sqlite")) as chat:
            made = [Judge(f"judge {number}", chat.ask, RUBRIC) for number in range(judges)]
            return await ask(made)

    with judge_server(habits) as url:
        return asyncio.run(run(url)), spending
