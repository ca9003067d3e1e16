"""One client for every endpoint that speaks OpenAI's chat API: cached, limited, within a budget.

A failure is part of the reply, never an exception of the SDK's; the text of a reply is kept whatever it is. Knows
nothing of what is asked.
"""

import asyncio
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from openai import APIConnectionError, APIStatusError, APITimeoutError, AsyncOpenAI, DefaultAsyncHttpxClient

from harness.errors import HarnessError
from harness.files import writable
from harness.llm.cache import ReplyCache
from harness.llm.endpoint import OPENAI, Endpoint
from harness.llm.reply import Reply, no_reply, read_body
from harness.llm.retries import Again, after_silence, after_status
from harness.llm.spending import Spending, about_tokens

Message = dict[str, str]
Schema = Mapping[str, Any]


class Chat:
    """Use it as `async with`. `schema_heeded`: whether the endpoint is asked to reply by schema; see `probe`."""

    def __init__(self, endpoint: Endpoint, spending: Spending, cache: ReplyCache) -> None:
        self.endpoint, self.spending, self._cache = endpoint, spending, cache
        self._key = endpoint.key()
        self.schema_heeded = True

    async def __aenter__(self) -> "Chat":
        endpoint = self.endpoint
        self._gate = asyncio.Semaphore(endpoint.concurrency)
        self._client = AsyncOpenAI(
            base_url=endpoint.base_url or f"https://{OPENAI}/v1",
            api_key=self._key.value or "none",
            timeout=endpoint.timeout_seconds,
            max_retries=0,  # see _call
            http_client=DefaultAsyncHttpxClient(event_hooks={"response": [_stay]}),
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
        reply = await self._greeted(schema)
        try:
            self.schema_heeded = json.loads(reply.text) == {f"k_{word}": f"v_{word}"}
        except (ValueError, RecursionError):
            self.schema_heeded = False
        if self.schema_heeded:
            return None
        return f"{self.endpoint.name} ignores the schema of replies: it is told in words alone"

    async def greet(self) -> None:
        """Ask for a word, before much else is asked.

        Raises:
            HarnessError: when the endpoint does not answer at all, or refuses the key or the model.
        """
        await self._greeted(None)

    async def _greeted(self, schema: Schema | None) -> Reply:
        reply = await self.ask([{"role": "user", "content": "Say hello."}], schema)
        if not reply.answered:
            group = self.endpoint.settings
            raise HarnessError(
                f"the {'judge' if group == 'judge' else 'model'} {self.endpoint.name} cannot be asked: {reply.why}; "
                f"see {group}.base_url, {group}.model and {group}.key_env"
            )
        return reply

    def kept(self, messages: Sequence[Message], schema: Schema | None = None, *, repeat: int = 0) -> Reply | None:
        """The reply of the cache; None where asking would be paid for.

        Raises:
            HarnessError: when the cache cannot be used.
        """
        found = self._cache.get(self._digest(self._request(messages, schema), repeat))
        return None if found is None else replace(found, cached=True).cleaned(self._key.hide)

    async def ask(self, messages: Sequence[Message], schema: Schema | None = None, *, repeat: int = 0) -> Reply:
        """One reply. What was asked before, of the same model with the same settings, is not asked again.

        `repeat`: the number of a call that is asked anew on purpose, and kept apart from the others'.

        Raises:
            BudgetSpentError: when a limit is reached.
            HarnessError: when the cache cannot be used.
        """
        kept = self.kept(messages, schema, repeat=repeat)
        if kept is not None:
            self.spending.cached += 1
            return kept
        request = self._request(messages, schema)
        async with self._gate:
            self.spending.begin()
            call = _Call(no_reply("interrupted"), 0)
            try:
                call = await self._call(request)
            finally:
                reply = call.reply
                self.spending.end(tokens_in=reply.tokens_in, tokens_out=reply.tokens_out, retries=call.retries)
        if reply.answered:
            self._cache.put(self._digest(request, repeat), reply)
        return reply

    def _digest(self, request: Mapping[str, Any], repeat: int) -> str:
        parts = [self.endpoint.name, request, *([repeat] if repeat else [])]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def _request(self, messages: Sequence[Message], schema: Schema | None) -> dict[str, Any]:
        endpoint = self.endpoint
        told = [{name: writable(value) for name, value in message.items()} for message in messages]
        request: dict[str, Any] = {"model": endpoint.model, "messages": told}
        # OpenAI's newer models take no max_tokens; other endpoints know only that
        limit = "max_completion_tokens" if endpoint.host == OPENAI else "max_tokens"
        request[limit] = endpoint.max_tokens
        if endpoint.temperature is not None:
            request["temperature"] = endpoint.temperature
        if endpoint.template_args:  # mlx_lm.server, vLLM and llama.cpp take them by this name
            request["extra_body"] = {"chat_template_kwargs": dict(endpoint.template_args)}
        if schema is not None and self.schema_heeded:
            described = {"name": "reply", "strict": True, "schema": dict(schema)}
            request["response_format"] = {"type": "json_schema", "json_schema": described}
        return request

    async def _call(self, request: dict[str, Any]) -> "_Call":
        """Tried as often as is allowed. The SDK's own retries know no deadline for a reply that drips in."""
        for tries in range(1, self.endpoint.retries + 2):
            reply, again = await self._try(request, tries)
            if again.seconds is None or tries > self.endpoint.retries:
                break
            await asyncio.sleep(again.seconds)
        return _Call(reply.cleaned(self._key.hide), tries - 1)

    async def _try(self, request: dict[str, Any], tries: int) -> tuple[Reply, Again]:
        """One reply, or why there is none, and when to try again for one."""
        clock = asyncio.get_running_loop().time
        began, limit = clock(), self.endpoint.timeout_seconds
        try:
            async with asyncio.timeout(limit):
                raw = await self._client.chat.completions.with_raw_response.create(**request)
                body = raw.http_response.content
        except (TimeoutError, APITimeoutError):
            return no_reply(f"no whole reply within {limit:g} s"), after_silence(tries)
        except APIStatusError as error:
            again = after_status(error.status_code, error.response.headers, tries)
            said = "" if again.why is None else f", {again.why}"
            return no_reply(f"status {error.status_code}{said}, {self._said(error)}"), again
        except APIConnectionError as error:
            return no_reply(self._said(error.__cause__ or error)), after_silence(tries)
        except Exception as error:  # what the SDK or HTTP's libraries trip over in a reply is that reply's own
            return no_reply(self._said(error)), Again(None)
        asked = "\n".join(message["content"] for message in request["messages"])
        reply = read_body(body, max_tokens=self.endpoint.max_tokens, about=about_tokens, asked=asked)
        return replace(reply, seconds=clock() - began), Again(None)

    def _said(self, error: BaseException) -> str:
        """The error in a line. Some endpoints repeat the key, which must be hidden before it may be cut in two."""
        return self._key.hide(" ".join(str(error).split()) or type(error).__name__)[:300]


@dataclass(frozen=True)
class _Call:
    reply: Reply
    retries: int


class _ElsewhereError(Exception):
    """An endpoint says that another one should be asked."""


async def _stay(response: Any) -> None:
    """For httpx, before it follows a redirect: texts and key go to the address that was given and to no other.

    Raises:
        _ElsewhereError: for another host, or a redirect that drops the question.
    """
    if not response.has_redirect_location:
        return
    here, there = response.request.url, response.request.url.join(response.headers["location"])
    to = f"{there.scheme}://{there.netloc.decode('ascii', 'replace').rpartition('@')[2]}{there.path}"
    same = (there.scheme, there.port) == (here.scheme, here.port) or (here.scheme, there.scheme) == ("http", "https")
    if response.status_code not in (307, 308) or there.host != here.host or not same:
        raise _ElsewhereError(f"it redirects to {to}, which is not followed; should it be right, give that address")


def _object(properties: Mapping[str, Any]) -> Schema:
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }
