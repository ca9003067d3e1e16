"""One judge at work: a question, a reply, one attempt to mend it, and what became of it.

What cannot be read is unscored, with the reply kept: it never becomes a score.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from harness.judging.blocks import Block
from harness.judging.rubric import (
    Mark,
    Question,
    Rubric,
    UnreadableError,
    again,
    ask_pair,
    ask_ranking,
    ask_scores,
    first,
    read_pair,
    read_ranking,
    read_scores,
)

Value = TypeVar("Value")
Done = TypeVar("Done")


class Reply(Protocol):
    @property
    def text(self) -> str: ...
    @property
    def failure(self) -> str | None: ...
    @property
    def cached(self) -> bool: ...
    @property
    def seconds(self) -> float: ...


# messages and a JSON schema -> a reply; harness.llm.chat.Chat.ask is one
Ask = Callable[[Sequence[dict[str, str]], Any], Coroutine[Any, Any, Reply]]


@dataclass(frozen=True)
class Verdict:
    """`kind`: ranking, anchors, pair or scores; `ids` and `adapters` in the order shown.

    `order`: places, the best first, or for a pair the better one alone, none for neither. `unscored`: why there is
    none. `reply`: the judge's own words.
    """

    judge: str
    kind: str
    theme: str
    ids: list[str]
    adapters: list[str]
    lengths: list[int]
    order: list[int]
    explanation: str
    unscored: str | None
    reply: str
    prompt: str
    cached: bool
    seconds: float
    scores: dict[str, Mark] | None = None


class Judge:
    """`name`: the model's, for the record."""

    def __init__(self, name: str, ask: Ask, rubric: Rubric) -> None:
        self.name, self._ask, self.rubric = name, ask, rubric

    async def rank(self, block: Block, kind: str = "ranking") -> Verdict:
        question = ask_ranking(self.rubric, block.theme, [entry.text for entry in block.entries])
        found, reply, why = await self._settle(question, lambda text: read_ranking(text, question.labels))
        order, explanation = (found.order, found.explanation) if found else ([], "")
        return self._verdict(kind, block, question, reply, why, order, explanation)

    async def compare(self, block: Block, kind: str) -> Verdict:
        """Of two texts the better one, or neither."""
        question = ask_pair(self.rubric, block.theme, [entry.text for entry in block.entries])
        found, reply, why = await self._settle(question, lambda text: (read_pair(text),))
        order = [] if found is None or found[0] is None else [found[0]]
        return self._verdict(kind, block, question, reply, why, order, "")

    async def score(self, block: Block) -> Verdict:
        """One text by each criterion."""
        question = ask_scores(self.rubric, block.theme, block.entries[0].text)
        found, reply, why = await self._settle(question, lambda text: read_scores(text, self.rubric))
        return self._verdict("scores", block, question, reply, why, [], "", found)

    async def _settle(self, question: Question, read: Callable[[str], Value]) -> tuple[Value | None, Reply, str | None]:
        """What was read, the last reply, and why nothing was read."""
        reply = await self._ask(first(question), question.schema)
        for attempt in (1, 2):
            try:
                if reply.failure is None:
                    return read(reply.text), reply, None
                why = reply.failure
            except UnreadableError as error:
                why = str(error)
            if why.startswith("no reply"):  # it was tried as often as is allowed
                break
            if attempt == 1:
                reply = await self._ask(again(question, reply.text, why), question.schema)
        return None, reply, why

    def _verdict(
        self,
        kind: str,
        block: Block,
        question: Question,
        reply: Reply,
        why: str | None,
        order: list[int],
        explanation: str,
        scores: dict[str, Mark] | None = None,
    ) -> Verdict:
        return Verdict(
            self.name,
            kind,
            block.theme,
            [entry.id for entry in block.entries],
            [entry.adapter for entry in block.entries],
            [entry.length for entry in block.entries],
            order,
            explanation,
            why,
            reply.text,
            question.user,
            reply.cached,
            reply.seconds,
            scores,
        )


async def gathered(
    waiting: Sequence[Coroutine[Any, Any, Done]], tell: Callable[[Done], object]
) -> tuple[list[Done], Exception | None]:
    """What all came to, in order; once one raises, the others are let finish and what they came to is kept."""
    trouble: Exception | None = None

    async def one(each: Coroutine[Any, Any, Done]) -> Done | None:
        nonlocal trouble
        if trouble is not None:
            each.close()
            return None
        try:
            done = await each
        except Exception as error:
            trouble = trouble or error
            return None
        tell(done)
        return done

    ended = await asyncio.gather(*(one(each) for each in waiting))
    return [done for done in ended if done is not None], trouble
