"""What a judge's ranking says of the texts that it saw: how good each seems, by the file that harness.judge writes.

Knows that file's names. Does not know how it was judged.
"""

import json
import statistics
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.errors import HarnessError
from harness.judging.verdicts import VerdictKind


@dataclass(frozen=True, kw_only=True)
class Judged:
    """By the id of a sample. `worth`: the higher the better, among texts on one theme; `places`: such as 2/4.

    `rubric`: its digest; `orders`: ids of each block, the best first, as the judge put them.
    """

    file: Path | None = None
    rubric: str | None = None
    judges: tuple[str, ...] = ()
    worth: Mapping[str, float] = field(default_factory=dict)
    places: Mapping[str, list[str]] = field(default_factory=dict)
    marks: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    orders: tuple[tuple[str, ...], ...] = ()


UNJUDGED = Judged()


def read_judged(file: Path) -> Judged:
    """Raises: HarnessError when it is no ranking of harness.judge."""
    try:
        record = json.loads(file.read_text("utf-8"))
        return _judged(file, record)
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise HarnessError(
            f"--ranking={file} is no ranking ({type(error).__name__}: {error}); give the out= of harness.judge"
        ) from error


def find_judged(candidates: Iterable[Path], ids: Collection[str]) -> Judged:
    """The newest ranking that saw any of these samples; UNJUDGED without one."""
    present = [each for each in candidates if each.is_file()]
    for file in sorted(present, key=lambda each: each.stat().st_mtime, reverse=True):
        try:
            judged = read_judged(file)
        except HarnessError:  # some other JSON
            continue
        if any(sample in judged.worth for sample in ids):
            return judged
    return UNJUDGED


def _judged(file: Path, record: Mapping[str, Any]) -> Judged:
    """An adapter's rating, and how far the text stood above the others of its blocks (from 1 to -1)."""
    ratings = {each["adapter"]: float(each["value"]) for each in record["ranking"]}
    asked = [each for each in record["verdicts"] if each["kind"] == VerdictKind.RANKING and each["unscored"] is None]
    standing: dict[str, list[float]] = {}
    places: dict[str, list[str]] = {}
    rating: dict[str, float] = {}
    for verdict in asked:
        of = len(verdict["order"])
        for place, at in enumerate(verdict["order"]):
            sample = str(verdict["ids"][at])
            standing.setdefault(sample, []).append(1 - 2 * place / max(of - 1, 1))
            places.setdefault(sample, []).append(f"{place + 1}/{of}")
            rating[sample] = ratings.get(verdict["adapters"][at], 0.0)
    return Judged(
        file=file,
        rubric=record["rubric"]["digest"],
        judges=tuple(record["judges"]),
        worth={sample: statistics.fmean(each) + rating[sample] for sample, each in standing.items()},
        places=places,
        marks=record.get("scores", {}),
        orders=tuple(tuple(str(each["ids"][at]) for at in each["order"]) for each in asked),
    )
