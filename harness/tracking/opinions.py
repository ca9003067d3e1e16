"""What was made of a sample, by people and by a judge. Knows nothing of MLflow, so that it costs nothing to import."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Feedback:
    """`by`: a person's name or a judge's; `why`: in their words."""

    name: str
    value: str | float
    by: str
    person: bool
    why: str | None = None
    more: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Reviewed:
    """`key`: of the text; `run`: which wrote it.

    `speakers`: whose feedback is all here, so that other of theirs goes.
    """

    key: str
    run: str
    theme: str
    prompt: str
    text: str
    origin: Mapping[str, str]
    feedback: Sequence[Feedback]
    speakers: Collection[str]
