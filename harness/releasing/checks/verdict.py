"""What a check says: passed, refused or not run, with its figure, its limit and one line that says what to do."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class CheckKind(StrEnum):
    """What a gate asks of a version; the values are the names in conf/gate, in tags and on pages."""

    COMPARISON = "comparison"  # better than the champion by more than the noise
    JUDGED = "judged"  # the same by the judge, where both were judged alike
    MEMORY = "memory"  # texts do not repeat what it was trained on
    EXTRACTION = "extraction"  # nor do the beginnings of training rows bring back their ends
    FORGETTING = "forgetting"  # the base's general language is still there
    COMPLETENESS = "completeness"  # whole, finite, as its spec says, on the base that it was trained on
    LINEAGE = "lineage"  # its run, configuration and data are known
    AGREEMENT = "agreement"  # fused into its base it is what it is beside it


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """`said`: one line with figure, limit and what to do; `details`: lines for a page, such as the worst rows.

    `not_run`: the check could not be made, which is no pass: `passed` is False, and `said` tells why.
    """

    check: CheckKind
    passed: bool
    figure: float | None
    limit: float | None
    said: str
    details: Sequence[str] = ()
    not_run: bool = False


def not_run(check: CheckKind, why: str) -> Verdict:
    """`why`: what was missing, and what would bring it."""
    return Verdict(
        check=check, passed=False, figure=None, limit=None, said=f"{check} was not checked: {why}", not_run=True
    )
