"""Rows that are computed together, a token each a step, from one cache. Rows join and leave between steps.

Where rounding, which differs from batch to batch, could have decided a token, the row is computed alone and decides.
Knows nothing of what waits.
"""

from collections.abc import Sequence

import mlx.core as mx

from harness.sampling.forward import Cache, Forward, extended, filtered
from harness.sampling.next_tokens import Chooses, NextTokens, next_tokens
from harness.sampling.request import Row, Step


class Batch:
    """`chooses`: a chooser of tokens for a temperature and a top_p. `settle`: let doubtful tokens be decided alone;
    without it the next step is begun before this one is read."""

    def __init__(self, forward: Forward, end_ids: set[int], chooses: Chooses, *, settle: bool) -> None:
        self._forward, self._end_ids, self._chooses, self._settle = forward, end_ids, chooses, settle
        self.rows: list[Row] = []
        self._cache: Cache = []
        self._ahead: NextTokens | None = None

    def join(self, rows: Sequence[Row], cache: Cache) -> None:
        """`cache`: of the rows' prompts but for their last tokens."""
        first = self._launch(rows, mx.array([row.request.ids[-1] for row in rows]), cache)
        self._ahead = first if self._ahead is None else self._ahead.joined(first)
        self._cache = cache if not self._cache else extended(self._cache, cache)
        self.rows += rows

    def leave(self, numbers: set[int]) -> None:
        """Without a word."""
        keep = [place for place, row in enumerate(self.rows) if row.number not in numbers]
        if len(keep) < len(self.rows):
            self._ahead = self._ahead.chosen(keep) if self._ahead is not None and keep else None
            self._keep(keep)

    def step(self) -> list[Step]:
        """What each row gets; those that have ended are gone."""
        ahead = self._ahead
        assert ahead is not None
        following = None if self._settle else self._launch(self.rows, ahead.choice.tokens, self._cache)
        tokens = self._read(ahead)
        steps = [self._told(row, token, ahead) for row, token in zip(self.rows, tokens, strict=True)]
        keep = [place for place, step in enumerate(steps) if step.finish_reason is None]
        if len(keep) < len(steps):
            following = following.chosen(keep) if following is not None and keep else None
            self._keep(keep)
        if following is None and keep:
            following = self._launch(self.rows, mx.array([tokens[place] for place in keep]), self._cache)
        self._ahead = following
        return steps

    def _keep(self, places: list[int]) -> None:
        self.rows = [self.rows[place] for place in places]
        self._cache = filtered(self._cache, places)

    def _launch(self, rows: Sequence[Row], tokens: mx.array, cache: Cache) -> NextTokens:
        """Begin to compute what follows `tokens` [batch]."""
        logits = self._forward(tokens[:, None], [row.request.slot for row in rows], cache)[:, -1]
        return next_tokens(logits, rows, self._chooses)

    def _read(self, ahead: NextTokens) -> list[int]:
        tokens = [int(token) for token in ahead.choice.tokens.tolist()]
        if self._settle:
            for place, doubtful in enumerate(ahead.choice.doubtful.tolist()):
                if doubtful:
                    tokens[place] = self._alone(self.rows[place])
        return tokens

    def _alone(self, row: Row) -> int:
        """The row's next token, from a forward pass of nothing else."""
        request = row.request
        logits = self._forward(mx.array([[*request.ids, *row.written]]), [request.slot])[:, -1]
        luck = mx.array([[request.seed, len(row.written)]], mx.uint32)
        return int(self._chooses(request.temperature, request.top_p)(logits, luck).tokens.item())

    def _told(self, row: Row, token: int, ahead: NextTokens) -> Step:
        ended = token in self._end_ids
        if not ended:
            row.written.append(token)
        full = len(row.written) == row.request.max_tokens
        told = ahead.told.get(row.number)
        logprob, top = (None, []) if told is None else told.of(token)
        return Step(
            number=row.number,
            token=None if ended else token,
            finish_reason="stop" if ended else "length" if full else None,
            logprob=logprob,
            top=top,
        )
