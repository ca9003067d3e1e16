"""A chain of origins: what each link is known by, what its record lacks, what it came of; as lines and as JSON.

Knows nothing of what the links stand for.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Link:
    """`what`: its kind, as "sample"; `name`: which one. `lacks`: what its record does not say, a phrase each."""

    what: str
    name: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    lacks: tuple[str, ...] = ()
    of: tuple["Link", ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Nested as the chain is; without what is empty."""
        whole = {"what": self.what, "name": self.name, "facts": dict(self.facts), "lacks": list(self.lacks)}
        return {key: value for key, value in whole.items() if value} | (
            {"of": [each.to_json() for each in self.of]} if self.of else {}
        )


def said(link: Link, depth: int = 0) -> Iterator[str]:
    """Lines, each link deeper than what came of it."""
    indent = "  " * depth
    yield f"{indent}{link.what} {link.name}".rstrip()
    for key, value in link.facts.items():
        first, *rest = _shown(value)
        yield f"{indent}  {key}: {first}".rstrip()
        yield from (f"{indent}    {each}" for each in rest)
    yield from (f"{indent}  not recorded: {each}" for each in link.lacks)
    for each in link.of:
        yield from said(each, depth + 1)


def links(link: Link) -> Iterator[Link]:
    """The chain's links, what came of others first."""
    yield link
    for each in link.of:
        yield from links(each)


def _shown(value: Any) -> list[str]:
    if isinstance(value, list):
        return ["", *map(str, value)]
    if isinstance(value, str) and "\n" in value.strip():
        return ["", *value.splitlines()]
    return [str(value)]
