"""What is asked of the engine, and what it answers with each step. Knows no model."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from harness.models.stacked_layer import BARE


@dataclass(frozen=True, kw_only=True)
class Request:
    """`ids`: the prompt's tokens, at least one. `seed`: 0 to 2³² − 1. `slot`: of StackedAdapters; 0: the bare base.

    `max_tokens`: at least 1. `logprobs`: how many of the most likely tokens are to be told beside the chosen one; 0:
    the chosen one's alone; None: none at all.
    """

    ids: Sequence[int]
    seed: int
    slot: int = BARE
    temperature: float = 1.0
    top_p: float = 1.0
    max_tokens: int = 256
    logprobs: int | None = None


@dataclass(frozen=True, kw_only=True)
class Step:
    """What one request got in a step.

    `token`: the next of its text; None where it ended with an end marker. `finish_reason`: "stop" (an end marker) or
    "length" in its last step, else None. `logprob`: of the chosen token (that of the end marker too), in nats, at
    temperature 1; `top`: token and logprob of the most likely, first the likeliest.
    """

    number: int
    token: int | None
    finish_reason: str | None = None
    logprob: float | None = None
    top: list[tuple[int, float]] = field(default_factory=list)


@dataclass
class Row:
    """A request under way. `written`: tokens that are read; `launched`: how many are computed or begun to be."""

    number: int
    request: Request
    written: list[int] = field(default_factory=list)
    launched: int = 0
