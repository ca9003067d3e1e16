"""Texts of many requests at once: each is taken at any step, with a slot and settings of its own.

Knows nothing of tokenizers, of files or of how requests come. Everything here belongs into one thread.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import mlx.nn as nn

from harness.machine.device import free_memory
from harness.models.stacked import BARE, StackedAdapters


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


class Engine:
    """Rows join as others finish; a text depends on the weights, its prompt and its seed alone.

    `end_ids`: the tokens that end a text. `batch_size`: at most so many rows at a time; fewer where memory is short or
    the architecture has no batches. `adapters`: what slots other than 0 stand for. `settle`: let what rounding could
    have decided be decided by the row alone; default: on the CPU. `free`: tells how many bytes of memory are. `tell`
    hears why texts are written one by one, or adapter by adapter.
    """

    def __init__(
        self,
        model: nn.Module,
        end_ids: set[int],
        *,
        batch_size: int,
        adapters: StackedAdapters | None = None,
        settle: bool | None = None,
        free: Callable[[], float] = free_memory,
        tell: Callable[[str], None] = lambda line: None,
    ) -> None:
        raise NotImplementedError

    def add(self, request: Request) -> int:
        """Its number. It waits until there is room.

        Raises:
            HarnessError: when its slot is not there, or was dropped.
        """
        raise NotImplementedError

    def cancel(self, number: int) -> None:
        """Nothing more is told of it; its row leaves at the next step. One that has ended: nothing happens."""
        raise NotImplementedError

    def step(self) -> list[Step]:
        """Let those join that there is room for, and compute one token of every row.

        After an error of the device nothing is lost but the step: what was told stays told, and `cancel` works.
        """
        raise NotImplementedError

    @property
    def busy(self) -> bool:
        """Whether a step would do anything."""
        raise NotImplementedError

    @property
    def waiting(self) -> int:
        """How many requests have not begun."""
        raise NotImplementedError

    @property
    def running(self) -> int:
        """How many rows are written at the moment."""
        raise NotImplementedError
