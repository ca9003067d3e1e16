"""A 5-gram model of tokens: the floor that the trained model must beat. Knows nothing of text.

Each order's estimate is interpolated with the next shorter one's by Witten and Bell's weights: the more different
tokens followed a context, the more its estimate leans on the shorter context.
"""

import math
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

ORDER = 5


class NGrams:
    """Learned from token sequences; gives probabilities and draws."""

    def __init__(self, sequences: Iterable[Sequence[int]], vocabulary: int, order: int = ORDER) -> None:
        self.order = order
        self.vocabulary = vocabulary
        self._followers: dict[tuple[int, ...], Counter[int]] = defaultdict(Counter)
        self._totals: Counter[tuple[int, ...]] = Counter()
        for tokens in sequences:
            for at, token in enumerate(tokens):
                for length in range(min(order - 1, at) + 1):
                    context = tuple(tokens[at - length : at])
                    self._followers[context][token] += 1
                    self._totals[context] += 1

    def probability(self, context: Sequence[int], token: int) -> float:
        """Of `token` after `context`, never 0."""
        value = 1 / self.vocabulary
        for length in range(min(self.order - 1, len(context)) + 1):
            key = tuple(context[len(context) - length :])
            followers = self._followers.get(key)
            if not followers:
                break
            total, kinds = self._totals[key], len(followers)
            value = (followers[token] + kinds * value) / (total + kinds)
        return value

    def nats(self, tokens: Sequence[int], start: int) -> float:
        """Of the tokens from `start` on, summed."""
        return -sum(
            math.log(self.probability(tokens[:at][-self.order :], tokens[at])) for at in range(start, len(tokens))
        )

    def draw(self, context: Sequence[int], rng: random.Random, temperature: float = 1.0) -> int:
        """The next token, from the longest context that was seen; a shorter one with Witten and Bell's weight.

        `temperature` sharpens the choice among what followed a context, not the choice of the context.
        """
        for length in range(min(self.order - 1, len(context)), -1, -1):
            key = tuple(context[len(context) - length :])
            followers = self._followers.get(key)
            if followers and rng.random() * (self._totals[key] + len(followers)) < self._totals[key]:
                return rng.choices(list(followers), [count ** (1 / temperature) for count in followers.values()])[0]
        return rng.randrange(self.vocabulary)
