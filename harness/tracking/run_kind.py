"""What a run stands for, as a tag says it: a training, a sweep or what belongs to one, a judging, data, a round."""

from collections.abc import Mapping
from enum import StrEnum

KIND = "kind"  # the tag


class RunKind(StrEnum):
    """`OTHER`: a run that somebody else's program logged, under a tag of the same name."""

    RUN = "run"
    SWEEP = "sweep"
    TRIAL = "trial"
    REPEAT = "repeat"
    JUDGE = "judge"
    PREPARE = "prepare"
    ROUND = "round"
    OTHER = "other"


def kind_of(tags: Mapping[str, str]) -> RunKind:
    """Of a run with these tags; one without the tag was logged before there were others than runs."""
    said = tags.get(KIND, RunKind.RUN)
    return next((kind for kind in RunKind if kind == said), RunKind.OTHER)
