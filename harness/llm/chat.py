"""One client for every endpoint that speaks OpenAI's chat API: cached, limited, within a budget.

A failure is part of the reply, never an exception of the SDK's; the text of a reply is kept whatever it is. Knows
nothing of what is asked.
"""

import asyncio
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlsplit

from openai import APIConnectionError, APIError, APIStatusError, APITimeoutError, AsyncOpenAI

from harness.errors import HarnessError
from harness.llm.cache import ReplyCache
from harness.llm.spending import Spending

Message = dict[str, str]
Schema = Mapping[str, Any]

_OPENAI = "api.openai.com"


@dataclass(frozen=True)
class Endpoint:
    """`base_url`: None for OpenAI itself. `key_env`: the environment variable with the key; None where none is needed.

    `temperature`: None leaves it to the endpoint. `name`: what the model is called in records, and in the cache.
    """

    base_url: str | None
    model: str
    name: str
    key_env: str | None
    timeout_seconds: float
    retries: int
    concurrency: int
    temperature: float | None
    max_tokens: int

    @property
    def host(self) -> str:
        return urlsplit(self.base_url).hostname or "?" if self.base_url else _OPENAI

    @property
    def is_local(self) -> bool:
        return self.host in ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Reply:
    """`failure`: why there is no whole text: a refusal, a cut, an error of the endpoint. `cached`: it cost nothing."""

    text: str
    failure: str | None
    tokens_in: int = 0
    tokens_out: int = 0
    seconds: float = 0.0
    cached: bool = False


class Chat:
    """Use it as `async with`. `schema_heeded`: whether the endpoint is asked to reply by schema; see `probe`."""

    def __init__(self, endpoint: Endpoint, spending: Spending, cache: ReplyCache) -> None:
        self.endpoint, self.spending, self._cache = endpoint, spending, cache
        self._key = _key(endpoint)
        self.schema_heeded = True

    async def __aenter__(self) -> "Chat":
        endpoint = self.endpoint
        self._gate = asyncio.Semaphore(endpoint.concurrency)
        self._client = AsyncOpenAI(
            base_url=endpoint.base_url or f"https://{_OPENAI}/v1",
            api_key=self._key or "none",
            timeout=endpoint.timeout_seconds,
            max_retries=endpoint.retries,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()

    async def probe(self) -> str | None:
        """Ask for what only a schema could make a model say; returns a warning where it is not heeded.

        Raises:
            HarnessError: when the endpoint does not answer at all, or refuses the key or the model.
        """
        word = hashlib.sha256(self.endpoint.name.encode()).hexdigest()[:8]
        schema = _object({f"k_{word}": {"type": "string", "enum": [f"v_{word}"]}})
        reply = await self.ask([{"role": "user", "content": "Say hello."}], schema)
        if reply.failure is not None and reply.failure.startswith(_BROKEN):
            raise HarnessError(
                f"the judge {self.endpoint.name} cannot be asked: {reply.failure}; "
                "see judge.base_url, judge.model and judge.key_env"
            )
        try:
            self.schema_heeded = json.loads(reply.text) == {f"k_{word}": f"v_{word}"}
        except ValueError:
            self.schema_heeded = False
        if self.schema_heeded:
            return None
        return f"{self.endpoint.name} ignores the schema of replies: it is told in words alone"

    async def ask(self, messages: Sequence[Message], schema: Schema) -> Reply:
        """One reply. What was asked before, of the same model with the same settings, is not asked again.

        Raises:
            BudgetSpentError: when a limit is reached.
        """
        request = self._request(messages, schema)
        key = hashlib.sha256(json.dumps([self.endpoint.name, request], sort_keys=True).encode()).hexdigest()
        kept = self._cache.get(key)
        if kept is not None:
            self.spending.cached += 1
            return Reply(**{**kept, "cached": True})
        async with self._gate:
            self.spending.begin()
            reply, retries = Reply("", "interrupted"), 0
            try:
                reply, retries = await self._call(request)
            finally:
                self.spending.end(tokens_in=reply.tokens_in, tokens_out=reply.tokens_out, retries=retries)
        if reply.failure is None or not reply.failure.startswith(_BROKEN):
            self._cache.put(key, asdict(reply))
        return reply

    def _request(self, messages: Sequence[Message], schema: Schema) -> dict[str, Any]:
        endpoint = self.endpoint
        request: dict[str, Any] = {"model": endpoint.model, "messages": list(messages)}
        # OpenAI's newer models take no max_tokens; other endpoints know only that
        limit = "max_completion_tokens" if endpoint.host == _OPENAI else "max_tokens"
        request[limit] = endpoint.max_tokens
        if endpoint.temperature is not None:
            request["temperature"] = endpoint.temperature
        if self.schema_heeded:
            described = {"name": "reply", "strict": True, "schema": dict(schema)}
            request["response_format"] = {"type": "json_schema", "json_schema": described}
        return request

    async def _call(self, request: dict[str, Any]) -> tuple[Reply, int]:
        """The reply, and how often the SDK tried again."""
        began = asyncio.get_running_loop().time()
        try:
            raw = await self._client.chat.completions.with_raw_response.create(**request)
            completion = raw.parse()
        except APITimeoutError:
            return Reply("", f"{_BROKEN} no reply within {self.endpoint.timeout_seconds:g} s"), self.endpoint.retries
        except APIConnectionError as error:
            return Reply("", f"{_BROKEN} {self._said(error.__cause__ or error)}"), self.endpoint.retries
        except APIStatusError as error:
            tried = self.endpoint.retries if error.status_code in (408, 409, 429) or error.status_code >= 500 else 0
            return Reply("", f"{_BROKEN} status {error.status_code}, {self._said(error)}"), tried
        except (APIError, ValueError) as error:  # what is no reply of the API at all
            return Reply("", f"{_BROKEN} {self._said(error)}"), 0
        seconds = asyncio.get_running_loop().time() - began
        usage = getattr(completion, "usage", None)
        tokens_in, tokens_out = (usage.prompt_tokens, usage.completion_tokens) if usage else (0, 0)
        if not getattr(completion, "choices", None):
            return Reply("", f"{_BROKEN} a reply without choices", tokens_in, tokens_out, seconds), raw.retries_taken
        choice = completion.choices[0]
        text, failure = choice.message.content or "", None
        if choice.message.refusal:
            text, failure = choice.message.refusal, "refused"
        elif choice.finish_reason == "content_filter":
            failure = "refused by a content filter"
        elif choice.finish_reason == "length":
            failure = f"cut at {self.endpoint.max_tokens} tokens"
        return Reply(text, failure, tokens_in, tokens_out, seconds), raw.retries_taken

    def _said(self, error: BaseException) -> str:
        """The error in a line, without the key: some endpoints repeat it."""
        text = " ".join(str(error).split())[:300] or type(error).__name__
        return text.replace(self._key, "***") if self._key else text


_BROKEN = "no reply:"


def _key(endpoint: Endpoint) -> str | None:
    """The key, from the environment alone.

    Raises:
        HarnessError: when it is not there.
    """
    address = urlsplit(endpoint.base_url or "")
    if address.username or address.password:
        raise HarnessError("judge.base_url must not hold a key; put it into an environment variable (judge.key_env)")
    if endpoint.key_env is None:
        return None
    key = os.environ.get(endpoint.key_env)
    if not key and not endpoint.is_local:
        raise HarnessError(
            f"{endpoint.host} needs a key in the environment variable {endpoint.key_env} (judge.key_env); export it"
        )
    return key or None


def _object(properties: Mapping[str, Any]) -> Schema:
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }
