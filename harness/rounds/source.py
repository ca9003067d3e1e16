"""The sweep that a round begins with: its champion, what that was trained on, and the words that made both.

Knows the store and the studies. Does not know what becomes of it.
"""

import shlex
from dataclasses import dataclass
from pathlib import Path

from harness.config.schema import TrackingConfig
from harness.errors import HarnessError
from harness.sweeping.listing import Listed, find_study, list_studies
from harness.sweeping.storage import open_studies
from harness.tracking import queries
from harness.tracking.ancestry import TrainedOn, ancestry_of
from harness.tracking.candidates import best_of_trials
from harness.tracking.run_kind import RunKind
from harness.tracking.store import Store, open_writable_store


@dataclass(frozen=True, kw_only=True)
class Champion:
    """The best checkpoint of a sweep, by what steers that: its run, the update and the score.

    `valid`: what it was scored on. `alone`: whether no other trial has a checkpoint. `varied`: the names that the sweep
    varied; `sweep_words`: the sweep's own command; `run_words`: that of the trial.
    """

    run: queries.Finished
    step: int
    label: str
    score: float
    valid: str
    train: TrainedOn | None
    alone: bool
    varied: frozenset[str]
    sweep_words: list[str]
    run_words: list[str]

    @property
    def reference(self) -> str:
        return f"runs:/{self.run.run_id}"

    @property
    def data(self) -> Path:
        """The folder of its lines."""
        return Path(self.run.params["data.path"]).expanduser()

    def setting(self, name: str) -> str:
        """As a word on a command line has it."""
        value = self.run.params.get(name, "None")
        return "null" if value == "None" else value


@dataclass(frozen=True)
class Sweeps:
    """Of one store, with its studies."""

    store: Store
    storage: str | None

    def find(self, sweep: str | None) -> str:
        """The id of the sweep that is meant by the beginning of it; None: the newest.

        Raises:
            HarnessError: when there is none, or it was begun in another folder.
        """
        listed = find_study(open_studies(self.storage, self.store.studies), sweep)
        if listed.folder and Path(listed.folder).resolve() != Path.cwd().resolve():
            raise HarnessError(f"sweep {listed.parent} was begun in {listed.folder}, where its paths lead; go there")
        return listed.parent

    def champion(self, sweep_id: str) -> Champion:
        """Raises: HarnessError when it has no checkpoint yet, or its command is not known."""
        sweep = queries.get(self.store, sweep_id)
        if sweep.kind is not RunKind.SWEEP:
            raise HarnessError(f"run {sweep_id} is no sweep; begin one with python -m harness.train -m …")
        best = best_of_trials(self.store, sweep, 2)
        if not best:
            raise HarnessError(f"sweep {sweep_id} has no checkpoint yet; python -m harness.runs shows its trials")
        found, by = ancestry_of(self.store, best[0].run_id), queries.steered_by(self.store, sweep)
        listed = find_study(open_studies(self.storage, self.store.studies), sweep_id)
        if not listed.command:
            raise HarnessError(f"the command of sweep {sweep_id} is not known; begin another one")
        return Champion(
            run=found.run,
            step=best[0].step,
            label=by.label,
            score=best[0].value,
            valid=best[0].digest,
            train=found.splits.get("train"),
            alone=len(best) < 2,
            varied=frozenset(name for name in sweep.params if not name.startswith("sweep.")),
            sweep_words=listed.command,
            run_words=shlex.split(found.run.tags.get("overrides", "")),
        )

    def by_command(self, words: list[str]) -> Listed:
        """The newest sweep of that command; it may have been stopped, or its limits reached, before its last trial.

        Raises:
            HarnessError: when there is none.
        """
        every = list_studies(open_studies(self.storage, self.store.studies), lambda error: None)
        found = [each for each in every if each.command == words]
        if not found:
            raise HarnessError("the sweep of this command is not in the store; see that it has the same tracking.uri")
        return found[-1]


def open_sweeps(tracking_uri: str | None, storage: str | None) -> Sweeps:
    """Raises: HarnessError when the store does not answer."""
    return Sweeps(open_writable_store(TrackingConfig(uri=tracking_uri)), storage)
