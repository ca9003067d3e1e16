"""What calls to an endpoint may cost, and have cost."""

from dataclasses import dataclass, field

from harness.errors import BudgetSpentError


@dataclass(frozen=True)
class Limits:
    """None is without limit. `price_in`, `price_out`: of a million tokens, in whatever currency `cost` is.

    `settings`: the group that errors name.
    """

    calls: int | None = None
    tokens: int | None = None
    cost: float | None = None
    price_in: float = 0.0
    price_out: float = 0.0
    settings: str = "judge"

    def price(self, tokens_in: float, tokens_out: float) -> float:
        return (tokens_in * self.price_in + tokens_out * self.price_out) / 1e6


def about_tokens(text: str) -> int:
    """Roughly: a Chinese character each, four letters of other languages."""
    wide = sum(ord(each) > 0x2E80 for each in text)
    return wide + (len(text) - wide) // 4


@dataclass
class Spending:
    """Counted while calls are made; those under way count as what calls took so far on average."""

    limits: Limits
    calls: int = 0
    retries: int = 0
    cached: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    _under_way: int = field(default=0, repr=False)

    @property
    def cost(self) -> float:
        return self.limits.price(self.tokens_in, self.tokens_out)

    def begin(self) -> None:
        """Count a call that is to be made.

        Raises:
            BudgetSpentError: when it would go beyond a limit.
        """
        ended = max(self.calls - self._under_way, 0)
        more = (self._under_way + 1) / ended if ended else 0.0
        tokens = (self.tokens_in + self.tokens_out) * (1 + more)
        for name, limit, needed in (
            ("calls", self.limits.calls, self.calls + 1),
            ("tokens", self.limits.tokens, tokens),
            ("cost", self.limits.cost, self.cost * (1 + more)),
        ):
            if limit is not None and needed > limit * (1 + 1e-9):  # sums of prices are rounded
                raise BudgetSpentError(f"the budget of {self.limits.settings}.max_{name}={limit:g} is spent")
        self.calls += 1
        self._under_way += 1

    def end(self, *, tokens_in: int, tokens_out: int, retries: int) -> None:
        self._under_way -= 1
        self.tokens_in += tokens_in
        self.tokens_out += tokens_out
        self.retries += retries
