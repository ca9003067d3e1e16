"""One run at work: where it belongs, and what its phases need of it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from harness.config.overrides import as_typed
from harness.config.schema import Config
from harness.console.progress import Display
from harness.run.inputs import Inputs
from harness.run.log import EventLog
from harness.run.session import Session
from harness.tracking import run_folder
from harness.tracking.run_kind import KIND, RunKind
from harness.tracking.runs import TrackedRun
from harness.tuning.evaluate import Score

# update and loss of a validation -> whether to end there
Report = Callable[[int, float], bool]


@dataclass(frozen=True, kw_only=True)
class RunPlace:
    """Where a run belongs: its name, and the sweep whose trial it is.

    `left`: how many trials there are still to do with this one, `at_once` of them at a time; `keep_state`: it may be
    gone on with though finished; `repeat`: which one of a trial done again with other seeds.
    """

    name: str | None = None
    overrides: list[str] = field(default_factory=list)
    sweep: str | None = None
    trial: int | None = None
    left: int = 1
    at_once: int = 1
    keep_state: bool = False
    repeat: int | None = None

    @property
    def typed(self) -> list[str]:
        """What was set on the command line, but for what a resumption sets itself."""
        return [as_typed(word) for word in self.overrides if not word.startswith("train.resume=")]

    @property
    def tags(self) -> dict[str, str]:
        if self.sweep is None:
            return {KIND: RunKind.RUN}
        of = {"sweep": self.sweep, "trial": str(self.trial)}
        if self.repeat is None:
            return {KIND: RunKind.TRIAL, **of}
        return {KIND: RunKind.REPEAT, **of, "repeat": str(self.repeat)}


@dataclass(frozen=True, kw_only=True)
class RunHooks:
    """Who is told of a run under way, and may end it.

    `began` gets its id, `report` each validation, saying whether the run is to end there; `judged` each theme that is
    judged, by its number and the share of anchors not beaten, likewise; `leave` is asked after each
    update why to stop for now, to be gone on with, if so.
    """

    began: Callable[[str], None] = lambda run_id: None
    judged: Callable[[int, float], bool] = lambda number, lost: False
    report: Report = lambda step, loss: False
    leave: Callable[[], str | None] = lambda: None


@dataclass(frozen=True, kw_only=True)
class RunContext:
    """One run at work: what its phases need of it. `totals`: what it measured so far, by the metric's name."""

    config: Config
    inputs: Inputs
    run: TrackedRun
    name: str
    place: RunPlace
    session: Session
    hooks: RunHooks
    totals: dict[str, float] = field(default_factory=dict)

    def stop(self, score: Score) -> bool:
        return self.hooks.report(score.step, score.loss)

    @property
    def display(self) -> Display:
        return self.session.display

    @property
    def folder(self) -> Path:
        return self.run.folder

    @property
    def log(self) -> EventLog:
        return EventLog(self.folder / run_folder.LOG)
