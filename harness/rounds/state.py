"""How far a folder's rounds have come: what was asked for, and for each round which steps are done.

Written whole after each step. Knows nothing of what the steps do.
"""

import dataclasses
import json
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from harness.errors import DamagedError
from harness.files import write_json

_FILE = "rounds.json"


class Step(StrEnum):
    """In their order."""

    GENERATE = "generate"
    JUDGE = "judge"
    REVIEW = "review"
    PREPARE = "prepare"
    RECORD = "record"
    TRAIN = "train"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a round is made with: words for the commands, as they are typed.

    `vary`: what the next sweep varies around the champion; None: what the last one did. `from_weights`: the next one's
    trials begin with the champion's weights.
    """

    write: list[str] = field(default_factory=list)
    judge: list[str] = field(default_factory=list)
    prepare: list[str] = field(default_factory=list)
    vary: list[str] | None = None
    from_weights: bool = False
    tracking_uri: str | None = None
    storage: str | None = None


@dataclass(frozen=True, kw_only=True)
class Round:
    """`sweep`: whose adapters write in it. `folder`: what it leaves."""

    number: int
    sweep: str
    folder: Path
    done: tuple[Step, ...] = ()

    @property
    def samples(self) -> Path:
        return self.folder / "samples.jsonl"

    @property
    def ranking(self) -> Path:
        return self.folder / "ranking.json"

    @property
    def decided(self) -> Path:
        """The database of its review."""
        return self.folder / "samples.review.sqlite"

    @property
    def review(self) -> Path:
        """What harness.review writes."""
        return self.folder / "samples.review"

    @property
    def data(self) -> Path:
        """The lines that the next round is trained on."""
        return self.folder / "data"

    @property
    def lineage(self) -> Path:
        return self.folder / "lineage.html"


@dataclass(frozen=True, kw_only=True)
class Rounds:
    """All rounds of a folder, the newest last."""

    folder: Path
    settings: Settings
    rounds: tuple[Round, ...]

    @property
    def report(self) -> Path:
        return self.folder / "rounds.html"

    def save(self) -> "Rounds":
        rounds = [{"sweep": each.sweep, "done": list(each.done)} for each in self.rounds]
        write_json(self.folder / _FILE, {"settings": dataclasses.asdict(self.settings), "rounds": rounds})
        return self

    def done(self, step: Step) -> "Rounds":
        last = self.rounds[-1]
        return self._with_last(dataclasses.replace(last, done=(*last.done, step))).save()

    def next(self, sweep: str) -> "Rounds":
        """The last round is over, and another begins with this sweep's adapters."""
        last = self.rounds[-1]
        ended = self._with_last(dataclasses.replace(last, done=(*last.done, Step.TRAIN)))
        return dataclasses.replace(ended, rounds=(*ended.rounds, _round(self.folder, last.number + 1, sweep))).save()

    def _with_last(self, last: Round) -> "Rounds":
        return dataclasses.replace(self, rounds=(*self.rounds[:-1], last))


def read_rounds(folder: Path) -> Rounds | None:
    """None where none have begun.

    Raises:
        DamagedError: when the file says something else.
    """
    file = folder / _FILE
    if not file.is_file():
        return None
    try:
        known = json.loads(file.read_text("utf-8"))
        rounds = tuple(_round(folder, number, **each) for number, each in enumerate(known["rounds"], start=1))
        return Rounds(folder=folder, settings=Settings(**known["settings"]), rounds=rounds)
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedError(
            file, f"is no record of rounds ({error})", "put back a copy, or begin another folder"
        ) from error


def first_round(folder: Path, settings: Settings, sweep: str) -> Rounds:
    return Rounds(folder=folder, settings=settings, rounds=(_round(folder, 1, sweep),)).save()


def changed(settings: Settings, given: dict[str, Any]) -> Settings:
    """What is given anew holds from the next step on; None: as before."""
    return dataclasses.replace(settings, **{key: value for key, value in given.items() if value is not None})


def _round(folder: Path, number: int, sweep: str, done: list[str] | None = None) -> Round:
    steps = tuple(Step(each) for each in done or ())
    return Round(number=number, sweep=sweep, folder=folder / str(number), done=steps)
