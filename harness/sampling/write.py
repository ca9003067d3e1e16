"""A plan of texts, written with whatever weights are in the model.

Knows nothing of adapters or files.
"""

import dataclasses
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence

import mlx.nn as nn

from harness.config.schema import GenerateConfig
from harness.data.thinking import said_after
from harness.models.tokenizer import Tokenizer
from harness.sampling.choose import Chooser
from harness.sampling.decode import Decoder, Request
from harness.sampling.prompts import Prompt, Variant, prompt_for
from harness.sampling.samples import Origin, Planned, Sample


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
    """Each text of the plan, as they are finished. `tell` hears why they are written one by one, where they are."""
    chooser = Chooser(settings.temperature, settings.top_p)
    decoder = Decoder(
        model,
        tokenizer.end_ids,
        chooser,
        max_tokens=settings.max_tokens,
        batch_size=settings.batch_size,
        tell=tell,
    )
    ids: dict[Prompt, list[int]] = {}
    for _, prompt in planned:
        if prompt not in ids:
            ids[prompt] = prompt.ids(tokenizer)
    requests = [Request(ids[prompt], each.seed) for each, prompt in planned]
    for index, decoded in decoder.write(requests):
        each, prompt = planned[index]
        said = said_after(prompt.text, tokenizer.decode(decoded.tokens))
        yield Sample(
            **{field.name: getattr(each, field.name) for field in dataclasses.fields(Planned)},
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
