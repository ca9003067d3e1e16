"""Rounds as a recipe: write, judge, wait for a person, make the next lines, train on them, and again.

Each step is a command of the harness, said as it is run; one that was cut short is run again, which goes on with it.
Does not know how a command works.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.console.wide import print_wide
from harness.data.reviews import Decision
from harness.errors import HarnessError
from harness.files import make_folder, only_process
from harness.rounds import steps
from harness.rounds.figures import Figures, decisions_of, figures_of
from harness.rounds.record import record
from harness.rounds.report import rounds_table, write_lineage, write_report
from harness.rounds.source import Champion, Sweeps, open_sweeps
from harness.rounds.state import Round, Rounds, Settings, Step, changed, first_round, read_rounds
from harness.rounds.steps import Command

Say = Callable[[str], object]
Run = Callable[[Command], int]  # returns the exit code


def refine(folder: Path, sweep: str | None, given: dict[str, Any], *, run: Run, say: Say) -> Rounds:
    """Go on until a person has to decide. `given`: fields of Settings; None: as before.

    Raises:
        HarnessError: for a step that fails, and before the first for a sweep that is not there.
    """
    make_folder(folder)
    with only_process(folder / ".lock", f"the work on the rounds in {folder}"):
        known = read_rounds(folder)
        settings = changed(Settings() if known is None else known.settings, given)
        sweeps = open_sweeps(settings.tracking_uri, settings.storage)
        rounds = _begun(folder, known, settings, sweep, sweeps)
        while (further := _Work(rounds, sweeps, run, say).further()) is not None:
            rounds = further
        return _told(rounds, sweeps, say)


def _begun(folder: Path, known: Rounds | None, settings: Settings, sweep: str | None, sweeps: Sweeps) -> Rounds:
    """Kept once it can be gone on with: what is refused now is not in the way of another try."""
    if known is None:
        found = sweeps.find(sweep)
        steps.check(settings, sweeps.champion(found))
        return first_round(folder, settings, found)
    if sweep is not None and not known.rounds[0].sweep.startswith(sweep):
        raise HarnessError(
            f"the rounds in {folder} began with sweep {known.rounds[0].sweep}, but --sweep={sweep}; leave it out, or "
            "begin another folder"
        )
    steps.check(settings, sweeps.champion(known.rounds[-1].sweep))
    return Rounds(folder=folder, settings=settings, rounds=known.rounds).save()


class _Work:
    """The last round, up to its end or to where a person is asked."""

    def __init__(self, rounds: Rounds, sweeps: Sweeps, run: Run, say: Say) -> None:
        self._rounds, self._sweeps, self._run, self._say = rounds, sweeps, run, say
        self._current: Round = rounds.rounds[-1]
        self._champion: Champion = sweeps.champion(self._current.sweep)
        steps.check(rounds.settings, self._champion)

    def further(self) -> Rounds | None:
        """The rounds with the next step done; None where a person is to decide first."""
        step = next(each for each in Step if each not in self._current.done)
        make_folder(self._current.folder)
        settings = self._rounds.settings
        match step:
            case Step.GENERATE:
                self._do(steps.generate(self._current, settings, self._champion))
            case Step.JUDGE:
                if settings.judge:
                    self._do(steps.judge(self._current, settings, self._champion))
            case Step.REVIEW:
                return self._rounds.done(step) if self._decided() else None
            case Step.PREPARE:
                self._do(steps.prepare_data(self._current, settings, self._champion))
            case Step.RECORD:
                self._record()
            case Step.TRAIN:
                return self._rounds.next(self._train())
        return self._rounds.done(step)

    def _do(self, command: Command) -> None:
        self._say(f"round {self._current.number}: {command.typed}")
        code = self._run(command)
        if code != 0:
            raise HarnessError(f"{command.module} ended with exit code {code}; the same command goes on from there")

    def _decided(self) -> bool:
        """Whether a person has kept something; what they decided is written."""
        if self._current.decided.exists():
            self._do(steps.review(self._current, self._rounds.settings, write=True))
        counts = decisions_of(self._current)
        return counts[Decision.ACCEPT] + counts[Decision.EDIT] > 0

    def _record(self) -> None:
        write_lineage(self._current, self._sweeps.store)
        figures = figures_of(self._current, self._champion)
        run_id = record(self._sweeps.store, self._rounds.folder, self._current, self._champion, figures)
        write_report(self._rounds, _figures(self._rounds, self._sweeps))
        self._say(f"round {self._current.number}: in MLflow as run {run_id} of experiment rounds")

    def _train(self) -> str:
        command = steps.train(self._current, self._rounds.settings, self._champion)
        self._do(command)
        found = self._sweeps.by_command(steps.as_kept(command.words))
        self._say(f"round {self._current.number + 1}: sweep {found.parent}, {found.ended} of {found.total} trials")
        return found.parent


def _figures(rounds: Rounds, sweeps: Sweeps) -> list[Figures]:
    return [figures_of(each, sweeps.champion(each.sweep)) for each in rounds.rounds]


def _told(rounds: Rounds, sweeps: Sweeps, say: Say) -> Rounds:
    figures = _figures(rounds, sweeps)
    print_wide(rounds_table(figures, str(rounds.folder)))
    say(f"report: {write_report(rounds, figures)}")
    last, counts = rounds.rounds[-1], decisions_of(rounds.rounds[-1])
    nothing = f" (of {counts.total()} decided on, none was kept)" if counts else ""
    say(f"round {last.number}: now read and decide{nothing}: {steps.review(last, rounds.settings).typed}")
    say("when enough is decided, the same command goes on")
    return rounds
