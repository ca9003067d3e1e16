"""What a source gives, a row or a reason why there is none, and what it gets from above to make them."""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from harness.data.kinds import Kind

HeldOut = Literal["test", "valid"]
_NUMBER = re.compile(r"U\+[0-9A-F]{4}|(?<![-\w])\d+")
_SHOWN = 120  # characters of what was rejected


@dataclass(frozen=True, kw_only=True)
class Found:
    """A row.

    `line`: what is written: {"messages": […]}, {"prompt", "completion"} or {"text"}, with "tools" where there are any.
    `origin`: where it stands, as "file:number" or words. `group`: rows of one poem, passage, work or author share it
    and stay on one side of a split; none: the row alone. `split`: where the source itself holds it out; then none of
    the others are held out for that. `lineage`: what made it, written into the line.
    """

    line: Mapping[str, Any]
    origin: str
    group: str | None = None
    split: HeldOut | None = None
    label: str | None = None
    lineage: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Rejected:
    """A piece that is no row. `reason`: one line; `start`: how it begins; `sort`: what such pieces are counted under.

    Without a sort of their own, those are counted together whose reasons differ by numbers alone.
    """

    origin: str
    kind: Kind
    reason: str
    start: str
    sort: str = ""

    @classmethod
    def of(cls, piece: object, *, origin: str, kind: Kind, reason: str, sort: str | None = None) -> "Rejected":
        text = piece if isinstance(piece, str) else repr(piece)
        reason, start = _writable(" ".join(reason.split())), _writable(text[:_SHOWN])
        sort = _NUMBER.sub("…", reason) if sort is None else sort
        return cls(origin=_writable(origin), kind=kind, reason=reason, start=start, sort=sort)


def _writable(text: str) -> str:
    """A byte that was not UTF-8, or half a character, as an escape: reports are UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


@dataclass(frozen=True, kw_only=True)
class Tools:
    """What a source may need from above.

    `count_tokens`: of a text, by the base's tokenizer; None where no base is named. `say`: a line for the user.
    `cache`: a folder for what took time or calls to make. `serve`: the address of a server of that model, for as long
    as it is held; None where nobody serves.
    """

    count_tokens: Callable[[str], int] | None
    say: Callable[[str], None]
    cache: Path
    serve: Callable[[str], AbstractContextManager[str]] | None = None


class Rows(Protocol):
    """`path`: None where it is null in the YAML, which only a module with PATH_OPTIONAL = True may allow.

    Raises: HarnessError where there is nothing to read at all. A bad piece is a Rejected, never an exception.
    """

    def __call__(self, path: Path, settings: Any, tools: Tools) -> Iterator[Found | Rejected]: ...
