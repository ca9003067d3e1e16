"""A search as an Optuna study that the same command goes on with: trials handed out, one after the other.

Knows nothing of training: it gets a function from one combination to what becomes of it.
"""

import itertools
import math
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from harness.config.axes import Combination, Space
from harness.config.schema import SweepConfig
from harness.errors import reason
from harness.sweeping.again import standing
from harness.sweeping.attributes import (
    AGAIN,
    ASIDE,
    BEAT,
    COMMAND,
    ENOUGH,
    FOLDER,
    KNOWN,
    METRIC,
    PARENT,
    RUN,
    SAID,
    STOP,
    TOTAL,
)
from harness.sweeping.claims import Claims, give_back
from harness.sweeping.dealing import Dealer, handed_out
from harness.sweeping.lease import beating
from harness.sweeping.search import make_pruner, make_sampler
from harness.sweeping.siblings import Siblings
from harness.sweeping.states import STOPPED
from harness.sweeping.storage import Studies
from harness.sweeping.suggest import add_broken, distributions, learns_constraints
from harness.sweeping.telling import tell_end, tell_failure
from harness.sweeping.trial import Objective, RequirementError, Result, result_of, status_of


@dataclass(frozen=True)
class Pace:
    """Updates of a trial's first and last validation."""

    first: int
    last: int


def open_study(
    name: str,
    studies: Studies,
    space: Space,
    search: SweepConfig,
    pace: Pace,
    *,
    siblings: Siblings | None = None,
    beat_seconds: float = 20.0,
    part_of: "Study | None" = None,
) -> "Study":
    """The study of that name, made if it is not there. `part_of`: one that it is stopped with.

    `beat_seconds`: how often a process of several machines says that it is there; three times that without a word, and
    its trial is anyone's.

    Raises:
        HarnessError: for sweep.pruner_args that the pruner does not take, and for a study that is damaged.
    """
    pruner = make_pruner(search, pace.first, pace.last)
    with studies.alone(name):
        stored = optuna.create_study(
            study_name=name, storage=studies.storage(name), direction="minimize", load_if_exists=True, pruner=pruner
        )
    trials = len(stored.get_trials(deepcopy=False))
    stored.sampler = make_sampler(search, trials, conditional=bool(space.rules.only_if))
    claims = Claims(
        siblings or Siblings({}), shared=studies.shared, retries=search.retries, silence_seconds=3 * beat_seconds
    )
    return Study(name, stored, studies, space, search, claims, beat_seconds, part_of)


class Study:
    """Minimizes. Several processes, also of several machines, may work on it at a time."""

    def __init__(
        self,
        name: str,
        stored: optuna.Study,
        studies: Studies,
        space: Space,
        search: SweepConfig,
        claims: Claims,
        beat_seconds: float,
        part_of: "Study | None" = None,
    ) -> None:
        self.name, self._study, self._studies, self._space = name, stored, studies, space
        self._search, self._beat_seconds, self._part_of = search, beat_seconds, part_of
        self._ended: dict[int, Result] = {}  # which do not change any more
        # where all are tried: always in the same order, so that whoever goes on knows which is the next
        self._every = list(space.combinations()) if search.trials is None else None
        self._planned = self._count()
        self._dealer = Dealer(stored, space, claims, self._every, lambda: self.total)

    def alone(self) -> AbstractContextManager[None]:
        """Inside, no other process changes what is to be tried."""
        return self._studies.alone(self.name)

    def _count(self) -> int:
        """How many trials there will be."""
        if self._every is not None or self._search.trials is None:
            return len(self._every or ())
        if self._space.endless:
            return self._search.trials
        return sum(1 for _ in itertools.islice(self._space.combinations(), self._search.trials))

    @property
    def total(self) -> int:
        """How many trials there will be: what was planned, or those until it was seen that more bring nothing."""
        enough = self._attribute(ENOUGH)
        return self._planned if enough is None else min(self._planned, int(enough["trials"]))

    @property
    def is_settled(self) -> bool:
        """Whether more trials were planned than there will be."""
        return self.total < self._planned

    def settle(self) -> None:
        """No further trials than those that have begun, until `unsettle`."""
        with self.alone():
            begun = sum(t.state is not TrialState.WAITING and ASIDE not in t.user_attrs for t in self._trials())
            self._study.set_user_attr(ENOUGH, {"trials": begun, "after": self._search.stagnant_trials})
            self._study.set_user_attr(TOTAL, self.total)

    def unsettle(self) -> None:
        """For a search that is not to stop so, or only after more trials that bring nothing."""
        enough = self._attribute(ENOUGH)
        asked = self._search.stop_when is not None and enough is not None
        if enough is not None and not (asked and self._search.stagnant_trials <= enough["after"]):
            self._study.set_user_attr(ENOUGH, None)

    @property
    def sampler(self) -> str:
        """By its name in sweep.sampler."""
        auto = "grid" if self._search.trials is None else "tpe"
        return auto if self._search.sampler == "auto" else self._search.sampler

    @property
    def parent(self) -> str | None:
        """What `set_parent` was told."""
        return self._attribute(PARENT)

    def set_parent(self, run_id: str) -> None:
        """The run that stands for the study."""
        self._study.set_user_attr(SAID, self._space.said)
        self._study.set_user_attr(PARENT, run_id)

    def set_command(self, words: Sequence[str]) -> None:
        """The words of the last command that worked on it, and where they were typed."""
        self._study.set_user_attr(METRIC, self._search.metric)
        self._study.set_user_attr(COMMAND, list(words))
        self._study.set_user_attr(FOLDER, str(Path.cwd()))

    def _attribute(self, name: str) -> Any:
        return self._study.user_attrs.get(name)

    @property
    def stopped(self) -> bool:
        """Whether somebody asked to leave it, or what it is part of (harness.sweep stop)."""
        return self._attribute(STOP) is not None or (self._part_of is not None and self._part_of.stopped)

    def unstop(self) -> None:
        if self.stopped:
            self._study.set_user_attr(STOP, None)

    def results(self) -> list[Result]:
        """Of the trials that have ended."""
        counted = standing(self._trials())
        for place, trial in enumerate(counted, 1):
            if status_of(trial).has_ended and trial.number not in self._ended:
                self._ended[trial.number] = result_of(place, trial)
        return [self._ended[trial.number] for trial in counted if trial.number in self._ended]

    @property
    def tried(self) -> int:
        """How often a trial has come to an end, one that was tried again each time."""
        counted = (trial for trial in self._trials() if ASIDE not in trial.user_attrs or AGAIN in trial.user_attrs)
        return sum(status_of(trial).has_ended for trial in counted)

    @property
    def known(self) -> int:
        """How many trials `add_known` has added."""
        return sum(str(trial.user_attrs.get(ASIDE, "")).startswith(KNOWN) for trial in self._trials())

    def add_known(self, combination: Combination, value: float, run_id: str) -> None:
        """Something tried before this study, for the sampler to learn from. It counts as no trial."""
        self._study.add_trial(
            optuna.trial.create_trial(
                params=combination,
                distributions=distributions(self._space, combination),
                value=value,
                user_attrs={ASIDE: f"{KNOWN}run {run_id}", RUN: run_id},
            )
        )

    def run(
        self,
        objective: Objective,
        on_end: Callable[[list[Result]], None] = lambda results: None,
        may_begin: Callable[[], str | None] = lambda: None,
    ) -> str | None:
        """Try what is left, one trial after the other, telling `on_end` all results so far after each.

        A trial that raises is told as failed, with the reason, and the next one begins. A request to end (see
        console/interrupt.py) ends this; the trial it struck is taken up by the next call, like one whose process died.
        Where other processes have the last trials in hand this waits for them, to take up what they leave. Returns why
        it ended before the last trial, if it did: somebody asked for it, or what `may_begin` said.
        """
        if self._attribute(TOTAL) != self.total:
            self._study.set_user_attr(TOTAL, self.total)
        while True:
            if self.stopped:
                return STOPPED
            if (why_not := may_begin()) is not None:
                return why_not
            with self.alone():
                taken = self._dealer.take()
            if taken is not None:
                self._try(taken, objective)
                on_end(self.results())
            elif any(trial.state is TrialState.RUNNING for trial in self._trials()):
                time.sleep(min(1.0, self._beat_seconds))
            else:
                return None

    def run_again(
        self, place: int, objective: Objective, on_end: Callable[[list[Result]], None] = lambda results: None
    ) -> None:
        """Try one trial to its end, by its place: one that failed or was pruned once more, one that was left further.

        Raises:
            HarnessError: for one that is done, that somebody works on, or that there is not.
        """
        with self.alone():
            taken = self._dealer.take_again(place)
        if taken is not None:
            self._try(taken, objective, to_its_end=True)
        on_end(self.results())

    def _trials(self) -> list[FrozenTrial]:
        """All there are, as they are now; not to be changed."""
        return self._study.get_trials(deepcopy=False)

    def _try(self, asked: optuna.trial.Trial, objective: Objective, *, to_its_end: bool = False) -> None:
        trial = handed_out(self._study, asked, lambda: self.stopped, to_its_end=to_its_end)
        beats: AbstractContextManager[None] = nullcontext()
        if self._studies.shared:
            beats = beating(lambda count: asked.set_user_attr(BEAT, count), self._beat_seconds)
        try:
            with beats:
                end = objective(trial)
        except KeyboardInterrupt:
            give_back(asked)
            raise
        except RequirementError as error:
            tell_failure(self._study, asked, reason(error))
            if learns_constraints(self._study) and math.isfinite(error.value):
                add_broken(self._study, asked.number, error.value, error.by)
            return
        except Exception as error:  # whatever a trial dies of, the others go on
            tell_failure(self._study, asked, reason(error))
            return
        tell_end(self._study, asked, end)
