"""What a generated text is remembered with, and the JSONL file of them."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import mlx.nn as nn

from harness.config.schema import GenerateConfig
from harness.files import append_json
from harness.models.tokenizer import Tokenizer
from harness.sampling.prompts import themed_prompt
from harness.sampling.write import write


@dataclass(frozen=True)
class Origin:
    """Which weights wrote: the adapter's reference (None: the bare base), its run, the update it was saved after."""

    base: str
    adapter: str | None
    run: str | None
    iteration: int | None


@dataclass(frozen=True)
class Sample:
    theme: str
    text: str
    base: str
    adapter: str | None
    run: str | None
    iteration: int | None
    prompt: str
    seed: int
    temperature: float
    top_p: float
    max_tokens: int
    scale: float
    tokens: int
    seconds: float
    finish_reason: str


def sample(
    model: nn.Module,
    tokenizer: Tokenizer,
    themes: list[str],
    settings: GenerateConfig,
    *,
    system: str | None,
    origin: Origin,
) -> Iterator[Sample]:
    """One text for each theme, as they are written."""
    for theme in themes:
        prompt = themed_prompt(tokenizer, theme, system)
        written = write(model, tokenizer, prompt, settings)
        yield Sample(
            theme=theme,
            prompt=prompt,
            temperature=settings.temperature,
            top_p=settings.top_p,
            max_tokens=settings.max_tokens,
            scale=settings.scale,
            **asdict(origin),
            **asdict(written),
        )


def append_sample(path: Path, entry: Sample) -> None:
    """One line, written at once, so that an interrupted command leaves whole lines."""
    append_json(path, asdict(entry))
