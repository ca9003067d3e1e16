"""Clients that ask without a pause, some of whom leave or are cut off, while an alias moves.

Each answer is compared with what its weights wrote when they were asked alone.
"""

import asyncio
import contextlib
import json
import random
import socket
import struct
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import psutil
from openai import AsyncOpenAI

from tests.serving.served import Served

PROMPTS = ["河", "灯", "秋天", "母亲", "a river", "the sea at night"]
TOKENS = 16


@dataclass
class Seen:
    """`kinds`: how requests ended; `wrong`: answers that are none of their weights'; `memory`: bytes, as time goes."""

    kinds: Counter[str] = field(default_factory=Counter)
    writers: Counter[str] = field(default_factory=Counter)
    wrong: list[Any] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)


Texts = dict[tuple[str, str], str]


def texts_of(here: Served, models: Sequence[str]) -> Texts:
    """What each model's weights write on each prompt, by their fingerprint."""
    client = here.client()
    found = {}
    for model in models:
        reply = client.completions.create(model=model, prompt=PROMPTS, max_tokens=TOKENS, seed=1)
        for prompt, choice in zip(PROMPTS, reply.choices, strict=True):
            found[str(reply.system_fingerprint), prompt] = choice.text
    return found


def load(
    here: Served, models: Sequence[str], expected: Texts, *, clients: int, seconds: float, move: Callable[[], object]
) -> Seen:
    """`move`: called again and again, in a thread."""
    seen = Seen()

    async def all_of_them() -> None:
        until = time.monotonic() + seconds
        async with here.async_client() as client:
            asking = [_client(here, client, models, expected, seen, until, number) for number in range(clients)]
            await asyncio.gather(*asking, _moving(move, until), _watching(seen, until))

    asyncio.run(all_of_them())
    return seen


async def _client(
    here: Served, client: AsyncOpenAI, models: Sequence[str], expected: Texts, seen: Seen, until: float, number: int
) -> None:
    luck = random.Random(number)
    while time.monotonic() < until:
        model, prompt = luck.choice(models), luck.choice(PROMPTS)
        asked: Any = {"model": model, "prompt": prompt, "max_tokens": TOKENS, "seed": 1}
        kind = luck.choice(["whole", "whole", "stream", "stream", "leave", "cut"])
        if kind == "whole":
            reply = await client.completions.create(**asked)
            _compare(seen, expected, model, prompt, reply.system_fingerprint, reply.choices[0].text)
        elif kind == "stream":
            stream = await client.completions.create(**asked, stream=True)
            pieces = [piece async for piece in stream]
            text = "".join(piece.choices[0].text for piece in pieces)
            _compare(seen, expected, model, prompt, pieces[0].system_fingerprint, text)
        else:
            await _left(here, asked, luck.random() * 0.05, reset=kind == "cut")
        seen.kinds[kind] += 1


async def _left(here: Served, asked: Any, seconds: float, *, reset: bool) -> None:
    """A connection that ends in the middle, with a reset as when its process is killed."""
    _, writer = await asyncio.open_connection("127.0.0.1", here.port)
    body = json.dumps({**asked, "stream": True}).encode()
    head = f"POST /v1/completions HTTP/1.1\r\nhost: 127.0.0.1:{here.port}\r\ncontent-type: application/json\r\n"
    writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
    await writer.drain()
    await asyncio.sleep(seconds)
    if reset:
        plug: socket.socket = writer.get_extra_info("socket")
        plug.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


def _compare(seen: Seen, expected: Texts, model: str, prompt: str, writer: str | None, text: str) -> None:
    seen.writers[f"{model} {writer}"] += 1
    if expected.get((str(writer), prompt)) != text:
        seen.wrong.append((model, writer, prompt, text))


async def _moving(move: Callable[[], object], until: float) -> None:
    while time.monotonic() < until:
        await asyncio.to_thread(move)
        await asyncio.sleep(0.3)


async def _watching(seen: Seen, until: float) -> None:
    process = psutil.Process()
    while time.monotonic() < until:
        seen.memory.append(process.memory_info().rss)
        await asyncio.sleep(0.5)
