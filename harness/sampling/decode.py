"""Whole texts from an engine: requests are handed on as it has room for them. Knows nothing of adapters."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from harness.sampling.engine import Engine
from harness.sampling.request import Request


@dataclass
class Decoded:
    """`tokens` without the end marker; `seconds`: this text's share of its batches' time."""

    tokens: list[int] = field(default_factory=list)
    seconds: float = 0.0
    finish_reason: str = ""


def decode(engine: Engine, requests: Iterable[Request | None]) -> Iterator[tuple[int, Decoded]]:
    """The place of each request among those that came, with what was written, as they finish.

    A request is asked for when the engine is to be given more; None: not before another text has ended.
    """
    coming, ended = iter(requests), False
    places: dict[int, int] = {}
    texts: dict[int, Decoded] = {}
    while engine.busy or not ended:
        while not ended and engine.waiting < 2 * engine.batch_size:
            request = next(coming, _END)
            ended = request is _END
            if not isinstance(request, Request):
                break
            number = engine.add(request)
            places[number], texts[number] = len(places), Decoded()
        begin = time.perf_counter()
        steps = engine.step()
        share = (time.perf_counter() - begin) / max(len(steps), 1)
        for step in steps:
            text = texts[step.number]
            text.seconds += share
            if step.token is not None:
                text.tokens.append(step.token)
            if step.finish_reason is not None:
                text.finish_reason = step.finish_reason
                yield places[step.number], texts.pop(step.number)


_END = object()
