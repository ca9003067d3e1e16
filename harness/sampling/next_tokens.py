"""What follows the last token of every row: chosen by each row's own settings, with logprobs where they are asked for.

Knows nothing of caches, nor when a row ends.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import mlx.core as mx

from harness.sampling.choose import Choice
from harness.sampling.request import Row

Choose = Callable[[mx.array, mx.array], Choice]
Chooses = Callable[[float, float], Choose]  # by temperature and top_p


@dataclass(frozen=True)
class Told:
    """Of one row: `scores` [vocabulary], logprobs in nats; `top`: the most likely tokens, the likeliest first."""

    scores: mx.array
    top: mx.array

    def of(self, token: int) -> tuple[float, list[tuple[int, float]]]:
        """The token's logprob, and those of the most likely."""
        tokens = self.top.tolist()
        first, *others = self.scores[mx.array([token, *tokens])].tolist()
        return first, list(zip(tokens, others, strict=True))


@dataclass(frozen=True)
class NextTokens:
    """Begun to be computed. `told`: by the number of the row."""

    choice: Choice
    told: dict[int, Told]

    def chosen(self, keep: Sequence[int]) -> "NextTokens":
        """Of the rows in these places."""
        places = mx.array(keep)
        return NextTokens(Choice(self.choice.tokens[places], self.choice.doubtful[places]), self.told)

    def joined(self, other: "NextTokens") -> "NextTokens":
        tokens = mx.concatenate([self.choice.tokens, other.choice.tokens])
        doubtful = mx.concatenate([self.choice.doubtful, other.choice.doubtful])
        return NextTokens(Choice(tokens, doubtful), self.told | other.told)


def next_tokens(logits: mx.array, rows: Sequence[Row], chooses: Chooses) -> NextTokens:
    """logits [batch, vocabulary]. Begins to compute, and counts the token as launched."""
    luck = mx.array([[row.request.seed, row.launched] for row in rows], mx.uint32)
    choice = _chosen(logits, luck, rows, chooses)
    told = {row.number: _told(logits[place], row) for place, row in enumerate(rows) if row.request.logprobs is not None}
    for row in rows:
        row.launched += 1
    mx.async_eval(choice.tokens, choice.doubtful, *[each.top for each in told.values()])
    return NextTokens(choice, told)


def _chosen(logits: mx.array, luck: mx.array, rows: Sequence[Row], chooses: Chooses) -> Choice:
    """Rows with the same settings together."""
    ways: dict[tuple[float, float], list[int]] = {}
    for place, row in enumerate(rows):
        ways.setdefault((row.request.temperature, row.request.top_p), []).append(place)
    if len(ways) == 1:
        return chooses(*next(iter(ways)))(logits, luck)
    choices = [chooses(*way)(logits[mx.array(places)], luck[mx.array(places)]) for way, places in ways.items()]
    order = [place for places in ways.values() for place in places]
    back = mx.array([order.index(place) for place in range(len(rows))])
    tokens = mx.concatenate([choice.tokens for choice in choices])
    doubtful = mx.concatenate([choice.doubtful for choice in choices])
    return Choice(tokens[back], doubtful[back])


def _told(logits: mx.array, row: Row) -> Told:
    scores = logits.astype(mx.float32)
    scores = scores - mx.logsumexp(scores)
    count = row.request.logprobs or 0
    return Told(scores, mx.argsort(-scores)[:count])
