"""One text from one prompt, by mlx-lm's decoder.

Knows nothing of adapters: what is attached to the model writes.
"""

import hashlib
import time
from dataclasses import dataclass

import mlx.nn as nn
from mlx_lm.generate import stream_generate
from mlx_lm.sample_utils import make_sampler

from harness.config.schema import GenerateConfig
from harness.models.randomness import seeded
from harness.models.tokenizer import Tokenizer


@dataclass(frozen=True)
class Written:
    """`finish_reason`: stop (the model ended its turn) or length; `seed`: what this text was drawn with."""

    text: str
    tokens: int
    seconds: float
    finish_reason: str
    seed: int


def write(model: nn.Module, tokenizer: Tokenizer, prompt: str, settings: GenerateConfig) -> Written:
    """Decode one prompt. The seed is mixed with the prompt, so that a text depends on nothing beside it."""
    seed = _mixed(settings.seed, prompt)
    sampler = make_sampler(temp=settings.temperature, top_p=settings.top_p)
    ids = tokenizer.encode(prompt, special=not tokenizer.has_template).ids
    start = time.perf_counter()
    tokens: list[int] = []
    reason = "length"
    with seeded(seed):
        for part in stream_generate(model, tokenizer.mlx_lm, ids, max_tokens=settings.max_tokens, sampler=sampler):
            if part.finish_reason == "stop":
                reason = "stop"  # the last token is the end marker
            else:
                tokens.append(part.token)
    return Written(tokenizer.decode(tokens).strip(), len(tokens), time.perf_counter() - start, reason, seed)


def _mixed(seed: int, prompt: str) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed}:{prompt}".encode()).digest()[:4], "little")
