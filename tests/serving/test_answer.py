"""An answer while nothing is written: who waits is told so, and who has gone is let go of."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

import pytest

from harness.models.base import Base
from harness.sampling.engine import Request, Step
from harness.serving.answer import Answer, Done, Text
from harness.serving.choice import Choice, Way
from harness.serving.replies import Head, TextForm
from harness.serving.token_text import TokenText
from harness.serving.worker import Worker


class Slow:
    """An engine whose only step waits until it may."""

    def __init__(self, may: threading.Event) -> None:
        self._may, self._number, self.busy = may, 0, False

    def add(self, request: Request) -> int:
        self._number, self.busy = self._number + 1, True
        return self._number

    def cancel(self, number: int) -> None:
        self.busy = False

    def step(self) -> list[Step]:
        assert self._may.wait(20)
        self.busy = False
        return [Step(number=self._number, token=300, finish_reason="length")]


def answer_by(worker: Worker, base: Base, kept: ExitStack, tell: Callable[[Done], None]) -> Answer:
    """A stream of one token."""
    choice = Choice(Way(prompt="", chat=False, stream=True, stop=()), base.tokenizer.decode)
    return Answer(
        worker,
        [Text(Request(ids=[1], seed=0, max_tokens=1), choice)],
        TextForm(Head(id="i", created=0, model="m", fingerprint="f"), TokenText(base.tokenizer), False),
        prompt_tokens=1,
        pieces=True,
        usage=False,
        kept=kept,
        tell=tell,
        began=0.0,
        silent=0.02,
    )


@pytest.mark.parametrize("leaves", [False, True])
def test_a_stream_that_waits_says_so_and_ends_when_nobody_listens(base: Base, leaves: bool) -> None:
    may, left, told, bodies = threading.Event(), list[str](), list[Done](), list[str]()

    def make(lost: Sequence[int]) -> Slow:
        return Slow(may)

    async def answered() -> None:
        worker.attend(asyncio.get_running_loop())
        gone = asyncio.Event()

        async def receive() -> Any:
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            bodies.append(message.get("body", b"").decode())
            if len(bodies) == 3:
                (gone if leaves else may).set()

        kept = ExitStack()
        kept.callback(lambda: left.append("all"))
        answer = answer_by(worker, base, kept, told.append)
        await answer({}, receive, send)

    worker = Worker(make, print)
    worker.start()
    asyncio.run(answered())
    may.set()
    worker.stop()
    assert bodies[1:3] == [": waiting\n\n"] * 2 and left == ["all"]
    assert [done.status for done in told] == ([499] if leaves else [200])
    assert bodies[-1] == (": waiting\n\n" if leaves else "data: [DONE]\n\n")


def test_what_was_written_keeps_no_place_while_its_reader_does_not_read(base: Base) -> None:
    may, told = threading.Event(), list[Done]()
    may.set()

    async def answered() -> None:
        worker.attend(asyncio.get_running_loop())
        freed = asyncio.Event()

        async def receive() -> Any:
            await asyncio.Event().wait()

        async def send(message: Any) -> None:
            assert await asyncio.wait_for(freed.wait(), 10)

        kept = ExitStack()
        kept.callback(freed.set)
        await answer_by(worker, base, kept, told.append)({}, receive, send)

    worker = Worker(lambda lost: Slow(may), print)
    worker.start()
    asyncio.run(answered())
    worker.stop()
    assert [done.status for done in told] == [200]
