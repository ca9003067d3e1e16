"""How much is taken on: rows at a time, rows that wait, tokens of a prompt and of a text. Knows no models."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from harness.serving.refusal import RefusalError


@dataclass(frozen=True, kw_only=True)
class Limits:
    """`rows`: texts written at a time. `queue`: texts that may wait besides. Tokens: of a prompt, of a text."""

    rows: int
    queue: int
    prompt_tokens: int
    max_tokens: int
    body_bytes: int = 8 << 20


class Room:
    """Texts under way, counted against the limits; `open`: whether more are taken."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.taken = 0
        self.open = True
        self._seconds = 1.0  # that a text takes, lately

    @contextmanager
    def for_texts(self, count: int) -> Iterator[None]:
        """
        Raises:
            RefusalError: when that many do not go in now (429) or ever (400), or none are taken any more (503).
        """
        if not self.open:
            raise RefusalError(503, "the server is stopping; ask another, or later", code="stopping", retry_after=5)
        most = self._limits.rows + self._limits.queue
        if count > most:
            raise RefusalError(400, f"{count} texts are asked for at once, and at most {most} are taken", param="n")
        if self.taken + count > most:
            raise RefusalError(
                429,
                f"{self.taken} texts are under way, and at most {most} may be; ask again later",
                code="too_many_requests",
                retry_after=self._until_room(count),
            )
        self.taken += count
        try:
            yield
        finally:
            self.taken -= count

    def close(self) -> None:
        """Take no more."""
        self.open = False

    def took(self, seconds: float) -> None:
        """A text was written in that time."""
        self._seconds += 0.2 * (seconds - self._seconds)

    def _until_room(self, count: int) -> int:
        """Seconds, about: as many texts as are asked for must have ended."""
        rounds = math.ceil(count / self._limits.rows)
        return min(max(math.ceil(self._seconds * rounds), 1), 60)
