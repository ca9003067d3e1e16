"""Rewrites of passages asked of a model, each by itself: tried again with the reason, cached, within a budget.

Knows the client of chat endpoints, and what makes a rewrite. Does not know rows.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harness.data.cleaning import clean
from harness.data.kinds import Kind
from harness.data.rewrites import Demand, Fault, Limits, Rewrite, fault_of
from harness.data.task_talk import stripped
from harness.errors import BudgetSpentError, HarnessError
from harness.llm.chat import Chat, Message
from harness.llm.many import Answers, answers
from harness.llm.reply import Failure, Reply
from harness.llm.spending import about_tokens

_SILENT = 10  # questions in a row without any reply, each tried as often as is allowed: nobody is there
_KINDS = {Failure.NO_REPLY: Kind.NO_REPLY, Failure.REFUSED: Kind.REFUSED, Failure.CUT: Kind.CUT}


@dataclass(frozen=True)
class Question:
    """`prompt`: the whole of what is asked about the passage."""

    prompt: str
    passage: str
    demand: Demand | None

    @property
    def messages(self) -> list[Message]:
        return [{"role": "user", "content": self.prompt}]


@dataclass(frozen=True)
class Draft:
    """`text`: the rewrite, or what came instead of one; `fault`: why it is none."""

    text: str
    fault: Fault | None


@dataclass(frozen=True)
class Planned:
    """`tokens_in`, `tokens_out`: about as many, if each is written at the first attempt."""

    calls: int
    kept: int
    tokens_in: int
    tokens_out: int


def planned(questions: Sequence[Question], chat: Chat) -> Planned:
    """What asking would take that is not in the cache."""
    new = [question for question in questions if chat.kept(question.messages) is None]
    return Planned(
        calls=len(new),
        kept=len(questions) - len(new),
        tokens_in=sum(about_tokens(question.prompt) for question in new),
        tokens_out=sum(about_tokens(question.passage) for question in new),
    )


class Writer:
    """`attempts`: how often a rewrite that cannot be used is asked for."""

    def __init__(self, chat: Chat, limits: Limits, attempts: int) -> None:
        self._chat, self._limits, self._attempts = chat, limits, attempts
        self._silent = 0

    def write(self, questions: Sequence[Question], tell: Callable[[Draft], object]) -> Answers[Draft]:
        """A draft for each that the budget allows; `tell` gets each as it comes.

        Raises:
            HarnessError: when the endpoint does not answer, or not any more. What was written is in the cache.
        """

        async def work() -> Answers[Draft]:
            async with self._chat as chat:
                await chat.greet()
                return await answers(questions, self._draft, at_once=chat.endpoint.concurrency, tell=tell)

        return asyncio.run(work())

    async def _draft(self, question: Question) -> Draft:
        draft = await self._ask(question, question.messages)
        for _ in range(1, self._attempts):
            if draft.fault is None or draft.fault.kind is Kind.NO_REPLY:
                break
            try:
                draft = await self._ask(question, _again(question, draft.fault))
            except BudgetSpentError:
                break  # what was paid for stands, with its fault
        return draft

    async def _ask(self, question: Question, messages: Sequence[Message]) -> Draft:
        reply = await self._chat.ask(messages)
        self._heed(reply)
        if reply.failure is not None:
            return Draft(reply.text, Fault(_KINDS.get(reply.failure, Kind.UNREADABLE), reply.why or "no whole reply"))
        text = stripped(clean(reply.text), question.passage)
        return Draft(text, fault_of(Rewrite(text, question.passage), self._limits, question.demand))

    def _heed(self, reply: Reply) -> None:
        self._silent = 0 if reply.answered else self._silent + 1
        if self._silent >= _SILENT:
            raise HarnessError(
                f"{self._chat.endpoint.name} does not answer any more: {reply.why}; what was written is kept, and the "
                "same command goes on with the rest"
            )


def _again(question: Question, fault: Fault) -> list[Message]:
    """Without the text that failed: a refusal that a model reads of itself is followed by another."""
    told = f"{question.prompt}\n\nA first reply could not be used: {fault.reason}. Reply with the text alone."
    return [{"role": "user", "content": told}]
