"""The shapes of OpenAI's answers: chats and plain texts, whole and in pieces. Knows no HTTP and no models."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from harness.sampling.engine import Step
from harness.serving.choice import Choice, Delta
from harness.serving.incremental_text import Kind
from harness.serving.token_text import TokenText

Json = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Head:
    """What every piece of an answer begins with. `fingerprint`: names the weights."""

    id: str
    created: int
    model: str
    fingerprint: str

    def to_json(self, kind: str) -> Json:
        return {
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": self.model,
            "system_fingerprint": self.fingerprint,
        }


class Form(Protocol):
    """How a route answers."""

    def whole(self, choices: Sequence[Choice], usage: Json) -> Json: ...

    def piece(self, index: int, delta: Delta) -> Json: ...

    def last(self, usage: Json) -> Json:
        """After all pieces, where the usage was asked for."""


def usage(prompt_tokens: int, completion_tokens: int) -> Json:
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
    }


@dataclass
class ChatForm:
    """`logprobs`: whether they were asked for; `token_text`: for their tokens."""

    head: Head
    token_text: TokenText
    logprobs: bool
    _begun: set[int] = field(default_factory=set)

    def whole(self, choices: Sequence[Choice], usage: Json) -> Json:
        shown = [self._choice(index, choice) for index, choice in enumerate(choices)]
        return {**self.head.to_json("chat.completion"), "choices": shown, "usage": usage}

    def _choice(self, index: int, choice: Choice) -> Json:
        said = choice.said
        message: Json = {"role": "assistant", "content": said.answer, "refusal": None}
        if said.thinking:
            message["reasoning_content"] = said.thinking
        return {
            "index": index,
            "message": message,
            "logprobs": self._logprobs(choice.tokens),
            "finish_reason": choice.finish_reason,
        }

    def piece(self, index: int, delta: Delta) -> Json:
        said: Json = {}
        if index not in self._begun:
            self._begun.add(index)
            said["role"] = "assistant"
        for part in delta.parts:
            name = "content" if part.kind is Kind.ANSWER else "reasoning_content"
            said[name] = said.get(name, "") + part.text
        choice = {
            "index": index,
            "delta": said,
            "logprobs": self._logprobs(delta.tokens),
            "finish_reason": delta.finish_reason,
        }
        return {**self.head.to_json("chat.completion.chunk"), "choices": [choice]}

    def last(self, usage: Json) -> Json:
        return {**self.head.to_json("chat.completion.chunk"), "choices": [], "usage": usage}

    def _logprobs(self, tokens: Sequence[Step]) -> Json | None:
        if not self.logprobs:
            return None
        return {"content": [self._token(step) for step in tokens], "refusal": None}

    def _token(self, step: Step) -> Json:
        assert step.token is not None
        tops = [self._named(token, logprob) for token, logprob in step.top]
        return {**self._named(step.token, step.logprob), "top_logprobs": tops}

    def _named(self, token: int, logprob: float | None) -> Json:
        text, written = self.token_text.of(token)
        return {"token": text, "bytes": written, "logprob": logprob}


@dataclass
class TextForm:
    """`logprobs`: whether they were asked for; `token_text`: for their tokens."""

    head: Head
    token_text: TokenText
    logprobs: bool
    _offsets: dict[int, int] = field(default_factory=lambda: defaultdict(int))

    def whole(self, choices: Sequence[Choice], usage: Json) -> Json:
        shown = [
            self._choice(index, choice.said.answer, choice.tokens, choice.finish_reason)
            for index, choice in enumerate(choices)
        ]
        return {**self.head.to_json("text_completion"), "choices": shown, "usage": usage}

    def piece(self, index: int, delta: Delta) -> Json:
        text = "".join(part.text for part in delta.parts)
        choice = self._choice(index, text, delta.tokens, delta.finish_reason)
        return {**self.head.to_json("text_completion"), "choices": [choice]}

    def last(self, usage: Json) -> Json:
        return {**self.head.to_json("text_completion"), "choices": [], "usage": usage}

    def _choice(self, index: int, text: str, tokens: Sequence[Step], finish_reason: str | None) -> Json:
        logprobs = self._logprobs(index, tokens) if self.logprobs else None
        return {"index": index, "text": text, "logprobs": logprobs, "finish_reason": finish_reason}

    def _logprobs(self, index: int, tokens: Sequence[Step]) -> Json:
        found: Json = {"tokens": [], "token_logprobs": [], "top_logprobs": [], "text_offset": []}
        for step in tokens:
            assert step.token is not None
            text, _ = self.token_text.of(step.token)
            found["tokens"].append(text)
            found["token_logprobs"].append(step.logprob)
            found["top_logprobs"].append({self.token_text.of(token)[0]: logprob for token, logprob in step.top})
            found["text_offset"].append(self._offsets[index])
            self._offsets[index] += len(text)
        return found
