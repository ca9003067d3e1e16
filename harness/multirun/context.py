"""What the pieces of one sweep share in one process: nothing of it changes while the sweep goes on.

Knows nothing of what the pieces do with it.
"""

import math
import shlex
from collections.abc import Callable
from dataclasses import dataclass, field

from harness.config.axes import Space
from harness.config.checks import total_updates
from harness.config.objective import Objective, objective
from harness.config.schema import Config, TrackingConfig
from harness.console.progress import Display
from harness.machine.device import freeze_libraries
from harness.multirun.limits import Clock
from harness.multirun.live_table import Teller
from harness.multirun.one_trial import OneTrial
from harness.multirun.study_key import beginning
from harness.multirun.trial_configs import TrialConfigs
from harness.run.session import Session
from harness.sweeping.siblings import Siblings
from harness.sweeping.storage import Studies, open_studies
from harness.sweeping.study import Pace
from harness.tracking.store import Store

# opens what the runs of a process share
Connect = Callable[[TrackingConfig, Display], Session]


@dataclass(frozen=True)
class Worker:
    """Which process of a sweep this is.

    `command`: the words that make the same sweep again; `only`: the one trial of it that is asked for.
    """

    siblings: Siblings = field(default_factory=lambda: Siblings({}))
    command: list[str] = field(default_factory=list)
    teller: Teller = field(default_factory=Teller)
    only: OneTrial | None = None

    @property
    def typed(self) -> str:
        return shlex.join(["python", "-m", "harness.train", *self.command])

    @property
    def is_first(self) -> bool:
        """Whether it is the one that says what concerns the whole sweep."""
        return self.siblings.index == 0

    @property
    def is_new(self) -> bool:
        """Whether it is the first of a command: no other one, and none after another that died."""
        return self.is_first and not self.siblings.deaths


@dataclass(frozen=True, kw_only=True)
class SweepContext:
    """`config`: that of the first combination, of which what does not vary holds for all.

    `beginning`: what the names of the base and of the adapter to start from lead to now; `former_beginning`: as the
    version before called it, None where that is the same. `clock`: what limits of time go by.
    """

    config: Config
    configs: TrialConfigs
    session: Session
    worker: Worker
    studies: Studies
    pace: Pace
    beginning: list[str]
    former_beginning: list[str] | None
    clock: Clock

    @property
    def space(self) -> Space:
        return self.configs.space

    @property
    def store(self) -> Store:
        return self.session.store

    @property
    def display(self) -> Display:
        return self.session.display

    @property
    def objective(self) -> Objective:
        return objective(self.config.sweep.metric)

    def varies(self, name: str) -> bool:
        return any(axis.name == name for axis in self.space.axes)


def sweep_context(
    configs: TrialConfigs, display: Display, worker: Worker, *, clock: Clock, connect: Connect
) -> SweepContext:
    """Check what varies, and open what the trials need.

    Raises:
        HarnessError: for a combination that cannot work, and for a store or a base that is not there.
    """
    first = configs.check(display)
    session = connect(first.tracking, display)
    studies = open_studies(first.sweep.storage, session.store.studies)
    freeze_libraries()  # all that trials need is imported
    started_from, former = beginning(first, session), session.base(first.model).former_revision
    return SweepContext(
        config=first,
        configs=configs,
        session=session,
        worker=worker,
        studies=studies,
        pace=_pace(first, rows=len(session.split(first, "train").rows)),
        beginning=started_from,
        former_beginning=None if former is None else [former, *started_from[1:]],
        clock=clock,
    )


def _pace(config: Config, *, rows: int) -> Pace:
    """When trials of `rows` training rows report."""
    updates = total_updates(config.train, rows)
    each = math.gcd(config.train.steps_per_eval, config.train.save_every)
    return Pace(first=min(each, max(updates, 1)), last=updates)
