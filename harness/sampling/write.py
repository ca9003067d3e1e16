"""A plan of texts, written with what is in the model, or each with the adapter in a slot of its own.

Knows nothing of adapters' files, nor of the files that texts go to.
"""

import dataclasses
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import mlx.nn as nn

from harness.config.schema import GenerateConfig
from harness.data.thinking import said_after
from harness.models.stacked_layer import BARE
from harness.models.tokenizer import Tokenizer
from harness.sampling.decode import Decoded, decode
from harness.sampling.engine import Engine
from harness.sampling.prompts import Prompt, Variant, prompt_for
from harness.sampling.request import Request
from harness.sampling.samples import Origin, Planned, Sample


@dataclass(frozen=True)
class ToWrite:
    """`slot`: which adapter writes it, in an engine's StackedAdapters."""

    slot: int
    planned: Planned
    prompt: Prompt


def plan(
    tokenizer: Tokenizer,
    origin: Origin,
    themes: Sequence[str],
    ways: Sequence[Variant],
    settings: GenerateConfig,
    *,
    n: int,
    system: str | None,
    fields: Mapping[str, str],
) -> list[tuple[Planned, Prompt]]:
    """theme × variant × sample, in that order.

    The seed is mixed with the prompt and the sample's number, so that a text depends on nothing beside it; two adapters
    write on a prompt with the same luck.
    """
    planned = []
    for theme in themes:
        for way in ways:
            prompt = prompt_for(tokenizer, way, theme, system=system, fields=fields)
            for index in range(n):
                planned.append(
                    (
                        Planned(
                            **dataclasses.asdict(origin),
                            theme=theme,
                            variant=way.name,
                            code=None if origin.iteration is None else origin.iteration + way.number,
                            index=index,
                            prompt=prompt.text,
                            seed=mixed_seed(settings.seed, prompt.text, index),
                            temperature=settings.temperature,
                            top_p=settings.top_p,
                            max_tokens=settings.max_tokens,
                        ),
                        prompt,
                    )
                )
    return planned


def write(
    model: nn.Module,
    tokenizer: Tokenizer,
    planned: Sequence[tuple[Planned, Prompt]],
    settings: GenerateConfig,
    tell: Callable[[str], None] = lambda line: None,
) -> Iterator[Sample]:
    """Each text of the plan, as they are finished, by what is in the model.

    `tell` hears why they are written one by one, where they are.
    """
    engine = Engine(model, tokenizer.end_ids, batch_size=settings.batch_size, tell=tell)
    return write_with(engine, tokenizer, (ToWrite(BARE, *each) for each in planned))


def write_with(engine: Engine, tokenizer: Tokenizer, coming: Iterable[ToWrite | None]) -> Iterator[Sample]:
    """Each of the texts, as they are finished. They are asked for when there is room; None: not before one has ended"""
    asked: list[Planned] = []
    ids = cache(lambda prompt: prompt.ids(tokenizer))

    def requests() -> Iterator[Request | None]:
        for each in coming:
            if each is None:
                yield None
                continue
            asked.append(each.planned)
            yield Request(
                ids=ids(each.prompt),
                seed=each.planned.seed,
                slot=each.slot,
                temperature=each.planned.temperature,
                top_p=each.planned.top_p,
                max_tokens=each.planned.max_tokens,
            )

    for place, decoded in decode(engine, requests()):
        yield _sample(asked[place], decoded, tokenizer)


def _sample(planned: Planned, decoded: Decoded, tokenizer: Tokenizer) -> Sample:
    said = said_after(planned.prompt, tokenizer.decode(decoded.tokens))
    return Sample(
        **{field.name: getattr(planned, field.name) for field in dataclasses.fields(Planned)},
        text=said.answer.strip(),
        thinking=said.thinking or None,
        tokens=len(decoded.tokens),
        seconds=decoded.seconds,
        finish_reason=decoded.finish_reason,
    )


def mixed_seed(seed: int, prompt: str, index: int) -> int:
    """The luck of the text with this number on a prompt, 32 bits: the same for whoever writes it."""
    of = f"{seed}:{prompt}" if index == 0 else f"{seed}:{prompt}:{index}"
    return int.from_bytes(hashlib.sha256(of.encode()).digest()[:4], "little")
