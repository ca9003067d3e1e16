"""From a request to its texts under way, without HTTP: which weights, which prompt, which luck.

Knows shelf, limits and worker. Does not know routes, nor how adapters come to be on the shelf.
"""

import secrets
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from harness.config.schema import GenerateConfig
from harness.models.tokenizer import Tokenizer
from harness.sampling.engine import Request
from harness.sampling.write import mixed_seed
from harness.serving.answer import Answer, Done, Text
from harness.serving.background import Background
from harness.serving.choice import Choice, Way
from harness.serving.fields import Asked, ChatAsked, TextAsked
from harness.serving.limits import Limits, Room
from harness.serving.metrics import Metrics
from harness.serving.prompting import Prompting, Put
from harness.serving.refusal import RefusalError
from harness.serving.replies import ChatForm, Form, Head, TextForm
from harness.serving.shelf import Shelf, Weights
from harness.serving.token_text import TokenText
from harness.serving.worker import Worker

Log = Callable[[str], None]
_Put = Callable[[Mapping[str, Any]], list[Put]]


@dataclass(frozen=True, kw_only=True)
class Resident:
    """Of the base. `context`: tokens that it was made for, prompt and text together; None: it does not say."""

    tokenizer: Tokenizer
    vocabulary: int
    context: int | None


class Service:
    """`defaults`: temperature and top_p of a request that says none. `log` hears a line of every request."""

    def __init__(
        self, base: Resident, shelf: Shelf, worker: Worker, *, limits: Limits, defaults: GenerateConfig, log: Log
    ) -> None:
        self._base, self._shelf, self._worker, self._limits = base, shelf, worker, limits
        self._defaults, self._log = defaults, log
        self.room, self.metrics = Room(limits), Metrics()
        self._prompting, self._token_text = (
            Prompting(base.tokenizer, base.vocabulary, limits),
            TokenText(base.tokenizer),
        )
        self._background = Background("prompts")
        self._answers = 0  # that are not yet sent to their end

    async def chat(self, asked: ChatAsked) -> Answer:
        """
        Raises:
            RefusalError: for an unknown model, too many tokens, a full queue.
        """

        def put(args: Mapping[str, Any]) -> list[Put]:
            return [self._prompting.chat(asked.messages, args, asked.template_args)]

        return await self._answered(asked, 1, put, chat=True)

    async def text(self, asked: TextAsked) -> Answer:
        """
        Raises:
            RefusalError: for an unknown model, too many tokens, a full queue.
        """

        def put(args: Mapping[str, Any]) -> list[Put]:
            return [self._prompting.text(prompt) for prompt in asked.prompts]

        return await self._answered(asked, len(asked.prompts), put, chat=False)

    @property
    def busy(self) -> bool:
        """Whether somebody waits for a text, or for the rest of one."""
        return self.room.taken > 0 or self._answers > 0

    def close(self) -> None:
        self._background.close()

    async def _answered(self, asked: Asked, prompts: int, put: _Put, *, chat: bool) -> Answer:
        began = time.perf_counter()
        model = self._shelf.find(asked.model)
        label = self._shelf.label(model)
        max_tokens = self._most_tokens(asked)
        with ExitStack() as kept:
            weights = kept.enter_context(self._shelf.using(model))
            kept.enter_context(self.room.for_texts(asked.n * prompts))
            found = await self._background.do(lambda: put(weights.args))
            texts = [
                self._text(asked, each, index, weights, self._left(each, max_tokens, asked), chat=chat)
                for each in found
                for index in range(asked.n)
            ]
            answer = Answer(
                self._worker,
                texts,
                self._form(asked, label, weights, chat=chat),
                prompt_tokens=sum(len(each.ids) for each in found),
                pieces=asked.stream,
                usage=asked.usage,
                kept=kept.pop_all(),
                tell=lambda done: self._told(label, done),
                began=began,
            )
            self._answers += 1
            return answer

    def _most_tokens(self, asked: Asked) -> int:
        most = self._limits.max_tokens
        if asked.max_tokens is not None and asked.max_tokens > most:
            raise RefusalError(
                400,
                f"max_tokens must be at most {most} here, but got {asked.max_tokens}; --max-tokens allows more",
                param="max_tokens",
                code="invalid_value",
            )
        return asked.max_tokens or most

    def _left(self, put: Put, max_tokens: int, asked: Asked) -> int:
        """Tokens that a text after this prompt may have."""
        if self._base.context is None:
            return max_tokens
        left = self._base.context - len(put.ids)
        if left < (1 if asked.max_tokens is None else max_tokens):
            raise RefusalError(
                400,
                f"the base was made for {self._base.context} tokens, but the prompt has {len(put.ids)} and "
                f"max_tokens is {max_tokens}; send less, or ask for less",
                param="max_tokens",
                code="context_length_exceeded",
            )
        return min(left, max_tokens)

    def _text(self, asked: Asked, put: Put, index: int, weights: Weights, max_tokens: int, *, chat: bool) -> Text:
        seed = secrets.randbits(32) if asked.seed is None else asked.seed
        request = Request(
            ids=put.ids,
            seed=mixed_seed(seed, put.text, index),
            slot=weights.slot,
            temperature=self._defaults.temperature if asked.temperature is None else asked.temperature,
            top_p=self._defaults.top_p if asked.top_p is None else asked.top_p,
            max_tokens=max_tokens,
            logprobs=asked.logprobs,
        )
        way = Way(prompt=put.text, chat=chat, stream=asked.stream, stop=asked.stop)
        return Text(request, Choice(way, self._base.tokenizer.decode))

    def _form(self, asked: Asked, label: str, weights: Weights, *, chat: bool) -> Form:
        head = Head(
            id=f"{'chatcmpl' if chat else 'cmpl'}-{uuid.uuid4().hex}",
            created=int(time.time()),
            model=asked.model or label,
            fingerprint=f"fp_{weights.digest}",
        )
        kind = ChatForm if chat else TextForm
        return kind(head, self._token_text, asked.logprobs is not None)

    def refused(self, refusal: RefusalError) -> None:
        """It is counted, and said without what was asked."""
        self.metrics.requests.add(status=str(refusal.status))
        self._log(f"{refusal.status} refused: {' '.join(word for word in (refusal.code, refusal.param) if word)}")

    def _told(self, model: str, done: Done) -> None:
        self._answers -= 1
        self.metrics.requests.add(status=str(done.status))
        self.metrics.tokens.add(done.prompt_tokens, model=model, of="prompt")
        self.metrics.tokens.add(done.written, model=model, of="text")
        for reason in done.reasons:
            self.metrics.texts.add(model=model, finish_reason=reason)
        if done.first is not None:
            self.metrics.first.add(done.first)
        self.metrics.whole.add(done.seconds)
        if done.status == 200:
            self.room.took(done.seconds)
        self._log(
            f"{done.status} {model}: {done.prompt_tokens} tokens, {done.written} written "
            f"({', '.join(done.reasons)}) in {done.seconds:.2f} s"
        )
