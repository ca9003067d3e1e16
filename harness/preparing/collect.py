"""Everything that a source gives, once: checked, the same left out, the like grouped; rows in a spool, the rest listed.

Knows the sources' interface; does not know splits.
"""

import itertools
import json
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TextIO

from harness.config.schema import SourceConfig
from harness.data.kinds import Kind
from harness.data.said import digest, prompt_digest, said, words_digest
from harness.data.sources.found import Found, Rejected
from harness.preparing.check import Checked, Checker
from harness.preparing.near import Groups, Neighbours, Pieces, pieces, signature, without
from harness.preparing.near import common as template_of
from harness.preparing.spool import Entry, Spool

OTHERS = "others"
_EXAMPLES = 3
_SORTS = 500  # reasons that are counted one by one; memory does not grow with the rows
_THREADS, _AT_ONCE = 2, 32
_SAMPLE = 512  # rows by which the pieces of a template are known


@dataclass
class Sort:
    """Pieces that are no rows for the same reason: the `first`, and how many."""

    first: Rejected
    count: int = 0


@dataclass
class Collected:
    """`entries`: the rows; `rejected`: how many of each kind, and `examples` of them; `sorts`: how many of each reason,
    with the first of them; `alike`: rows near another."""

    entries: list[Entry] = field(default_factory=list)
    rejected: Counter[Kind] = field(default_factory=Counter)
    examples: dict[Kind, list[Rejected]] = field(default_factory=dict)
    sorts: dict[tuple[Kind, str], "Sort"] = field(default_factory=dict)
    alike: list[tuple[str, str]] = field(default_factory=list)

    @property
    def bad(self) -> int:
        return sum(count for kind, count in self.rejected.items() if kind.bad)


def collect(
    given: Iterable[Found | Rejected], checker: Checker, common: SourceConfig, spool: Spool, list_of: TextIO
) -> Collected:
    """Read a source to its end. `list_of`: gets a JSON line for each piece that is no row."""
    collected = Collected()
    checked = _checked(given, checker)
    first = list(itertools.islice(checked, _SAMPLE))
    kin = _Kin(common, template_of([pieces(said(each.line)) for each in first if isinstance(each, Checked)]))
    for each in itertools.chain(first, checked):
        row = each if isinstance(each, Rejected) else kin.placed(each, collected)
        if isinstance(row, Rejected):
            _note(row, collected, list_of)
        else:
            collected.entries.append(_spooled(row, spool))
    collected.entries = [replace(entry, group=kin.group(entry.group)) for entry in collected.entries]
    return collected


def _spooled(row: "_Placed", spool: Spool) -> Entry:
    return spool.add(
        row.checked,
        group=row.group,
        characters=len(row.text),
        prompt=prompt_digest(row.checked.line),
        words=words_digest(row.text),
    )


def _checked(given: Iterable[Found | Rejected], checker: Checker) -> Iterator[Checked | Rejected]:
    """In order; some at once, for a tokenizer works beside Python."""

    def check(some: Sequence[Found | Rejected]) -> list[Checked | Rejected]:
        return [row for each in some for row in ([each] if isinstance(each, Rejected) else checker.check(each))]

    pieces_of = iter(given)
    with ThreadPoolExecutor(_THREADS) as pool:
        waiting: deque[Future[list[Checked | Rejected]]] = deque()
        while some := list(itertools.islice(pieces_of, _AT_ONCE)):
            waiting.append(pool.submit(check, some))
            if len(waiting) > 2 * _THREADS:
                yield from waiting.popleft().result()
        for future in waiting:
            yield from future.result()


def _note(row: Rejected, collected: Collected, list_of: TextIO) -> None:
    collected.rejected[row.kind] += 1
    examples = collected.examples.setdefault(row.kind, [])
    if len(examples) < _EXAMPLES:
        examples.append(row)
    key = (row.kind, row.sort or row.reason)
    if key not in collected.sorts and len(collected.sorts) >= _SORTS:
        key = (row.kind, OTHERS)
    collected.sorts.setdefault(key, Sort(row)).count += 1
    line = {"origin": row.origin, "kind": row.kind, "reason": row.reason, "start": row.start}
    text = json.dumps(line, ensure_ascii=False)
    list_of.write(text.encode("utf-8", "replace").decode() + "\n")


@dataclass(frozen=True)
class _Placed:
    checked: Checked
    group: str
    text: str


class _Kin:
    """What rows have in common with those before them."""

    def __init__(self, common: SourceConfig, template: Pieces) -> None:
        self._common, self._template = common, template
        self._origins: dict[bytes, str] = {}
        self._groups, self._neighbours = Groups(), Neighbours()
        self._rows: list[tuple[str, str]] = []  # group and origin of each that has neighbours

    def group(self, name: str) -> str:
        """The group that stands for all that belong together."""
        return self._groups.lead(name)

    def placed(self, checked: Checked, collected: Collected) -> _Placed | Rejected:
        found, same = checked.found, digest(checked.line)
        if same in self._origins:
            return _left_out(checked, Kind.DUPLICATE, f"the same as {self._origins[same]}", "the same as another row")
        text = said(checked.line)
        group = f"row {same.hex()}" if found.group is None else f"group {found.group}"
        if self._common.near_duplicates != "off":
            own = without(pieces(text), self._template)
            near = self._neighbours.near(signature(own), self._common.similarity)
            like = [self._rows[number] for number in near]
            if like and self._common.near_duplicates == "drop":
                return _left_out(checked, Kind.NEAR_DUPLICATE, f"nearly the same as {like[0][1]}", "nearly the same")
            self._neighbours.keep()
            self._rows.append((group, found.origin))
            for other, origin in like:
                self._groups.join(group, other)
                collected.alike.append((found.origin, origin))
        self._origins[same] = found.origin
        return _Placed(checked, group, text)


def _left_out(checked: Checked, kind: Kind, reason: str, sort: str) -> Rejected:
    return Rejected.of(said(checked.line), origin=checked.found.origin, kind=kind, reason=reason, sort=sort)
