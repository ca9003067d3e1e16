"""All texts of one request, from the engine's steps to what is sent. Who has gone is written for no longer.

Knows the worker and ASGI. Does not know how a request is read, nor how an answer looks.
"""

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

from harness.errors import reason
from harness.sampling.engine import Request, Step
from harness.serving.choice import Choice, Delta
from harness.serving.refusal import RefusalError
from harness.serving.replies import Form, usage
from harness.serving.worker import Ticket, Worker
from harness.web.guard import Receive, Send

_SILENT_SECONDS = 10.0  # proxies end a connection on which nothing comes, most after a minute


@dataclass
class Text:
    """One of the texts: what the engine is asked, and how it is shown."""

    request: Request
    choice: Choice
    ticket: Ticket | None = None


@dataclass(frozen=True, kw_only=True)
class Done:
    """What became of a request. `status`: 499 where who asked has gone. `first`, `seconds`: since it came."""

    status: int
    prompt_tokens: int
    written: int
    reasons: list[str]
    first: float | None
    seconds: float


@dataclass(frozen=True)
class _Event:
    """`delta` of a text, or its end without one; `refusal`: the end of all. Nothing of these: who asked has gone."""

    index: int | None = None
    delta: Delta | None = None
    refusal: RefusalError | None = None


class Answer:
    """`kept`: closed when nothing more is written. `tell` hears what became of it. `pieces`: as they come, with the
    usage at the end where `usage` says so, and after `silent` seconds of nothing a comment that means nothing."""

    def __init__(
        self,
        worker: Worker,
        texts: Sequence[Text],
        form: Form,
        *,
        prompt_tokens: int,
        pieces: bool,
        usage: bool,
        kept: ExitStack,
        tell: Callable[[Done], None],
        began: float,
        silent: float = _SILENT_SECONDS,
    ) -> None:
        self._silent = silent
        self._worker, self._texts, self._form = worker, texts, form
        self._prompt_tokens, self._pieces, self._usage = prompt_tokens, pieces, usage
        self._kept, self._tell, self._began = kept, tell, began
        self._events: asyncio.Queue[_Event] = asyncio.Queue()
        self._first: float | None = None
        for index, text in enumerate(texts):
            text.ticket = worker.add(text.request, partial(self._hear, index))

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        watching = asyncio.create_task(self._watch(receive))
        status = 499
        try:
            status = await (self._in_pieces(send) if self._pieces else self._whole(send))
        finally:
            watching.cancel()
            for text in self._texts:
                if text.choice.finish_reason is None and text.ticket is not None:
                    self._worker.cancel(text.ticket)
            self._kept.close()
            self._tell(self._done(status))

    def _hear(self, index: int, what: Step | RefusalError) -> None:
        if isinstance(what, RefusalError):
            self._events.put_nowait(_Event(refusal=what))
            return
        if self._first is None:
            self._first = time.perf_counter() - self._began
        text = self._texts[index]
        try:
            delta = text.choice.take(what)
        except Exception as error:  # a tokenizer's own: the texts of others are heard in the same turn
            self._events.put_nowait(_Event(refusal=RefusalError(500, f"the text cannot be read: {reason(error)}")))
            return
        ended = text.choice.finish_reason is not None
        if ended and what.finish_reason is None and text.ticket is not None:  # a stop text
            self._worker.cancel(text.ticket)
        if ended and all(each.choice.finish_reason is not None for each in self._texts):
            self._kept.close()  # now, for who asked may be slow to read
        if delta is not None or ended:
            self._events.put_nowait(_Event(index, delta))

    async def _watch(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            continue
        self._events.put_nowait(_Event())

    async def _whole(self, send: Send) -> int:
        left = len(self._texts)
        while left:
            event = await self._events.get()
            if event.refusal is not None:
                return await send_json(send, event.refusal.status, event.refusal.to_json(), event.refusal.headers)
            if event.index is None:
                return 499
            left -= 1
        return await send_json(send, 200, self._form.whole([text.choice for text in self._texts], self._counted()))

    async def _in_pieces(self, send: Send) -> int:
        """The status line waits for the first piece: until then a refusal has one of its own."""
        left, begun = len(self._texts), False
        while left:
            events = await self._heard()
            refusal = next((event.refusal for event in events if event.refusal is not None), None)
            if refusal is not None and not begun:
                return await send_json(send, refusal.status, refusal.to_json(), refusal.headers)
            if any(event.index is None and event.refusal is None for event in events):
                return 499
            if not begun:
                await _begin(send, 200, {"content-type": "text/event-stream; charset=utf-8"})
                begun = True
            told = [(event.index, event.delta) for event in events if event.index is not None]
            pieces = [self._form.piece(index, delta) for index, delta in told if delta is not None]
            if self._usage:
                pieces = [{**piece, "usage": None} for piece in pieces]
            if refusal is not None:
                await _send_events(send, [*pieces, refusal.to_json()], more=False)
                return refusal.status
            left -= sum(delta is None or delta.finish_reason is not None for _, delta in told)
            await _send_events(send, pieces, more=True)
        await _send_events(send, [self._form.last(self._counted())] if self._usage else [], more=False, done=True)
        return 200

    async def _heard(self) -> list[_Event]:
        """All that came since; empty after a long silence."""
        try:
            events = [await asyncio.wait_for(self._events.get(), self._silent)]
        except TimeoutError:
            return []
        while not self._events.empty():
            events.append(self._events.get_nowait())
        return events

    def _counted(self) -> dict[str, Any]:
        return usage(self._prompt_tokens, sum(len(text.choice.tokens) for text in self._texts))

    def _done(self, status: int) -> Done:
        return Done(
            status=status,
            prompt_tokens=self._prompt_tokens,
            written=sum(len(text.choice.tokens) for text in self._texts),
            reasons=[text.choice.finish_reason or "cut" for text in self._texts],
            first=self._first,
            seconds=time.perf_counter() - self._began,
        )


async def send_json(send: Send, status: int, content: Any, headers: dict[str, str] | None = None) -> int:
    """Returns the status."""
    body = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
    own = {"content-type": "application/json", "content-length": str(len(body)), **(headers or {})}
    await _begin(send, status, own)
    await send({"type": "http.response.body", "body": body})
    return status


async def _begin(send: Send, status: int, headers: dict[str, str]) -> None:
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})


async def _send_events(send: Send, pieces: Sequence[Any], *, more: bool, done: bool = False) -> None:
    """Of nothing, a comment."""
    lines = [json.dumps(piece, ensure_ascii=False, separators=(",", ":")) for piece in pieces]
    text = "".join(f"data: {line}\n\n" for line in [*lines, *(["[DONE]"] if done else [])]) or ": waiting\n\n"
    await send({"type": "http.response.body", "body": text.encode("utf-8", "replace"), "more_body": more})
