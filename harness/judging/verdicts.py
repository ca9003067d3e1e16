"""One judge at work: a question, a reply, one attempt to mend it, and what became of it.

What cannot be read is unscored, with the reply kept: it never becomes a score.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Generic, Protocol, TypeVar

from harness.errors import BudgetSpentError
from harness.files import writable
from harness.judging.blocks import Block
from harness.judging.replies import Reading, UnreadableError
from harness.judging.rubric import (
    Example,
    Mark,
    Question,
    Rubric,
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


class JudgeReply(Protocol):
    """`why`: there is no whole text, in words. `answered`: whether there was a reply at all."""

    @property
    def text(self) -> str: ...
    @property
    def why(self) -> str | None: ...
    @property
    def answered(self) -> bool: ...
    @property
    def cached(self) -> bool: ...
    @property
    def seconds(self) -> float: ...


class Ask(Protocol):
    """Messages and a JSON schema -> a reply; harness.llm.chat.Chat.ask is one. `repeat`: the number of a new try."""

    def __call__(
        self, messages: Sequence[dict[str, str]], schema: Any, *, repeat: int = 0
    ) -> Coroutine[Any, Any, JudgeReply]: ...


class VerdictKind(StrEnum):
    """What was asked: an order of texts, one beside anchors, marks, or one of the pairs whose answer is known."""

    RANKING = "ranking"
    ANCHORS = "anchor"
    SCORES = "scores"
    DECIDED = "decided"  # texts that a person decided on, and the same judged with examples of the person's taste
    TAUGHT = "decided: taught"
    REPEAT = "repeat"  # a ranking asked anew
    IDENTICAL = "control: identical"
    SHUFFLED = "control: shuffled"
    TRAINING = "control: training"
    INJECTED = "control: injected"


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """`ids` and `adapters` in the order shown.

    `order`: places, the best first, or for a pair the better one alone, none for neither. `unscored`: why there is
    none. `reply`: the judge's own words; `leniencies`: what was looked past to read them.
    """

    judge: str
    kind: VerdictKind
    theme: str
    ids: list[str]
    adapters: list[str]
    lengths: list[int]
    order: list[int]
    explanation: str = ""
    unscored: str | None = None
    reply: str = ""
    prompt: str = ""
    cached: bool = False
    seconds: float = 0.0
    scores: dict[str, Mark] | None = None
    leniencies: Sequence[str] = ()


@dataclass(frozen=True)
class _Settled(Generic[Value]):
    """What came of a question: `found`, or `why` nothing was."""

    question: Question
    reply: JudgeReply
    found: Reading[Value] | None
    why: str | None

    @property
    def value(self) -> Value | None:
        return None if self.found is None else self.found.value


class Judge:
    """`name`: the model's, for the record; `family`: of models that are kin to it, its own name where none is said."""

    def __init__(self, name: str, ask: Ask, rubric: Rubric, *, family: str | None = None) -> None:
        self.name, self._ask, self.rubric, self.family = name, ask, rubric, family or name

    def taught(self, examples: Sequence[Example]) -> "Judge":
        """The same judge, with examples of what a person accepted and rejected."""
        return Judge(self.name, self._ask, replace(self.rubric, examples=tuple(examples)), family=self.family)

    async def rank(self, block: Block, kind: VerdictKind = VerdictKind.RANKING, *, repeat: int = 0) -> Verdict:
        """`repeat`: the number of a new try of the same call."""
        question = ask_ranking(self.rubric, block.theme, [entry.text for entry in block.entries])
        settled = await self._settle(question, lambda text: read_ranking(text, question), repeat)
        verdict = self._verdict(kind, block, settled)
        if settled.value is None:
            return verdict
        return replace(verdict, order=settled.value.order, explanation=settled.value.explanation)

    async def compare(self, block: Block, kind: VerdictKind) -> Verdict:
        """Of two texts the better one, or neither."""
        question = ask_pair(self.rubric, block.theme, [entry.text for entry in block.entries])
        settled = await self._settle(question, lambda text: read_pair(text, question))
        better = None if settled.value is None else settled.value.better
        return replace(self._verdict(kind, block, settled), order=[] if better is None else [better])

    async def score(self, block: Block) -> Verdict:
        """One text by each criterion."""
        question = ask_scores(self.rubric, block.theme, block.entries[0].text)
        settled = await self._settle(question, lambda text: read_scores(text, question, self.rubric.criteria))
        return replace(self._verdict(VerdictKind.SCORES, block, settled), scores=settled.value)

    async def _settle(
        self, question: Question, read: Callable[[str], Reading[Value]], repeat: int = 0
    ) -> _Settled[Value]:
        """Ask, and once more where the reply cannot be read. An endpoint that said nothing was tried often enough."""
        reply = await self._ask(first(question), question.schema, repeat=repeat)
        found, why = _read(reply, read)
        if found is None and reply.answered:
            reply = await self._ask(again(question, reply.text, why), question.schema, repeat=repeat)
            found, why = _read(reply, read)
        return _Settled(question, reply, found, why if found is None else None)

    def _verdict(self, kind: VerdictKind, block: Block, settled: _Settled[Any]) -> Verdict:
        """Without what it says, which each kind has for itself."""
        return Verdict(
            judge=self.name,
            kind=kind,
            theme=block.theme,
            ids=[entry.id for entry in block.entries],
            adapters=[entry.adapter for entry in block.entries],
            lengths=[entry.length for entry in block.entries],
            order=[],
            unscored=settled.why,
            reply=settled.reply.text,
            prompt=settled.question.user,
            cached=settled.reply.cached,
            seconds=settled.reply.seconds,
            leniencies=[] if settled.found is None else sorted(settled.found.leniencies),
        )


def _read(reply: JudgeReply, read: Callable[[str], Reading[Value]]) -> tuple[Reading[Value] | None, str]:
    """What was read, or why nothing could be."""
    if reply.why is not None:
        return None, reply.why
    try:
        return read(reply.text), ""
    except UnreadableError as error:
        return None, writable(str(error))[:500]


def how_read(verdicts: Sequence[Verdict]) -> Mapping[str, int]:
    """How many replies were read as they were asked for, how many leniently and past what, and how many were not."""
    scored = [each for each in verdicts if each.unscored is None]
    lenient = [each for each in scored if each.leniencies]
    past = sorted({leniency for each in lenient for leniency in each.leniencies})
    counts = {"as asked": len(scored) - len(lenient), "leniently": len(lenient)}
    counts |= {f"past {name}": sum(name in each.leniencies for each in lenient) for name in past}
    return counts | {"unscored": len(verdicts) - len(scored)}


@dataclass(frozen=True)
class Gathered(Generic[Done]):
    """`done` in order; `spent`: the limit that ended it, in words."""

    done: list[Done]
    spent: str | None


async def gathered(waiting: Sequence[Coroutine[Any, Any, Done]], tell: Callable[[Done], object]) -> Gathered[Done]:
    """What all came to. Once the budget is spent, those under way are let finish and the rest is left.

    Raises:
        Exception: whatever one of them raised but for a spent budget, after those under way have finished.
    """
    trouble: Exception | None = None

    async def one(each: Coroutine[Any, Any, Done]) -> Done | None:
        nonlocal trouble
        if trouble is not None:
            each.close()
            return None
        try:
            done = await each
        except Exception as error:
            if trouble is None or isinstance(trouble, BudgetSpentError):
                trouble = error
            return None
        tell(done)
        return done

    ended = await asyncio.gather(*(one(each) for each in waiting))
    if trouble is not None and not isinstance(trouble, BudgetSpentError):
        raise trouble
    return Gathered([done for done in ended if done is not None], None if trouble is None else str(trouble))
