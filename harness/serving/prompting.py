"""From messages or texts to the tokens that the model goes on from, as harness.generate has them.

Knows the base's tokenizer and its chat template. Called in one thread beside the event loop.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from harness.errors import HarnessError
from harness.models.tokenizer import Tokenizer
from harness.serving.fields import Message
from harness.serving.limits import Limits
from harness.serving.refusal import RefusalError


@dataclass(frozen=True)
class Put:
    """A prompt as text, and its tokens."""

    text: str
    ids: list[int]


class Prompting:
    """`vocabulary`: tokens that the weights know."""

    def __init__(self, tokenizer: Tokenizer, vocabulary: int, limits: Limits) -> None:
        self._tokenizer, self._vocabulary, self._limits = tokenizer, vocabulary, limits
        self._asked_with = lru_cache(32)(lambda args: tokenizer.asked_with(json.loads(args)))

    def chat(self, messages: Sequence[Message], args: Mapping[str, Any], own: Mapping[str, Any]) -> Put:
        """The chat template around the messages. `args`: the adapter's for it; `own`: the request's, which go before.

        Raises:
            RefusalError: for what the template refuses, or too many tokens.
        """
        if not self._tokenizer.has_template:
            raise RefusalError(
                400, "this base has no chat template; ask /v1/completions with a prompt", param="messages"
            )
        try:
            asked = self._asked_with(json.dumps({**args, **own}, sort_keys=True))
        except HarnessError as error:
            raise RefusalError(
                400, str(error).replace("model.template_args", "chat_template_kwargs"), param="chat_template_kwargs"
            ) from error
        try:
            text = asked.render(messages, add_generation_prompt=True)
        except HarnessError as error:
            raise RefusalError(400, str(error), param="messages", code="invalid_value") from error
        return self._fitting(Put(text, self._tokenizer.encode(text, special=False).ids), "messages")

    def text(self, prompt: str | list[int]) -> Put:
        """
        Raises:
            RefusalError: for tokens that are none, or too many.
        """
        if isinstance(prompt, str):
            return self._fitting(Put(prompt, self._tokenizer.encode(prompt, special=True).ids), "prompt")
        if max(prompt) >= self._vocabulary:
            raise RefusalError(
                400, f"prompt has token {max(prompt)}, but this base has {self._vocabulary}", param="prompt"
            )
        return self._fitting(Put(self._tokenizer.decode(prompt), prompt), "prompt")

    def _fitting(self, put: Put, param: str) -> Put:
        most = self._limits.prompt_tokens
        if len(put.ids) > most:
            raise RefusalError(
                400,
                f"{param} has {len(put.ids)} tokens, and at most {most} are taken",
                param=param,
                code="context_length_exceeded",
            )
        if not put.ids:
            raise RefusalError(400, f"{param} has no tokens; give at least one character", param=param)
        return put
