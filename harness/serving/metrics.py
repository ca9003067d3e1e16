"""Counts and times of what was served, and Prometheus's text of them. Knows no requests.

Times are kept as counts by length, so that memory does not grow.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Mapping

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
_PREFIX = "harness_serve"

Labels = tuple[tuple[str, str], ...]


class Counter:
    def __init__(self, name: str, said: str) -> None:
        self.name, self.said = name, said
        self._values: dict[Labels, float] = defaultdict(float)

    def add(self, amount: float = 1, **labels: str) -> None:
        self._values[tuple(sorted(labels.items()))] += amount

    def lines(self) -> Iterator[str]:
        yield from _head(self.name, self.said, "counter")
        for labels, value in sorted(self._values.items()):
            yield _line(self.name, labels, value)


class Times:
    """Seconds of many, as a histogram."""

    def __init__(self, name: str, said: str) -> None:
        self.name, self.said = name, said
        self._counts = [0] * (len(_SECONDS) + 1)
        self._sum = 0.0

    def add(self, seconds: float) -> None:
        self._counts[bisect_left(_SECONDS, seconds)] += 1
        self._sum += seconds

    def lines(self) -> Iterator[str]:
        yield from _head(self.name, self.said, "histogram")
        total = 0
        for most, count in zip((*map(str, _SECONDS), "+Inf"), self._counts, strict=True):
            total += count
            yield _line(f"{self.name}_bucket", (("le", most),), total)
        yield _line(f"{self.name}_sum", (), self._sum)
        yield _line(f"{self.name}_count", (), total)


class Metrics:
    def __init__(self) -> None:
        self.requests = Counter("requests_total", "Requests, by the status that they were answered with.")
        self.texts = Counter("texts_total", "Texts written, by model and by why they ended.")
        self.tokens = Counter("tokens_total", "Tokens, by model and whether of a prompt or written.")
        self.moves = Counter("versions_taken_up_total", "Versions that an alias moved to, by model.")
        self.first = Times("first_token_seconds", "From a request to its first token.")
        self.whole = Times("request_seconds", "From a request to its end.")

    def text(self, gauges: Mapping[str, tuple[str, float]]) -> str:
        """`gauges`: what is so now: a name, what it says, the value."""
        lines: list[str] = []
        for kept in (self.requests, self.texts, self.tokens, self.moves, self.first, self.whole):
            lines += kept.lines()
        for name, (said, value) in gauges.items():
            lines += [*_head(name, said, "gauge"), _line(name, (), value)]
        return "\n".join(lines) + "\n"


def _head(name: str, said: str, kind: str) -> Iterator[str]:
    yield f"# HELP {_PREFIX}_{name} {said}"
    yield f"# TYPE {_PREFIX}_{name} {kind}"


def _line(name: str, labels: Labels, value: float) -> str:
    shown = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels)
    return f"{_PREFIX}_{name}{{{shown}}} {value:.10g}" if shown else f"{_PREFIX}_{name} {value:.10g}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
