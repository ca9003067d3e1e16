"""The two that are compared: the checkpoint that was chosen, with what it was chosen among, and what is in use now.

Knows where they lie. Measures nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from harness.config.objective import WIN_RATE, Objective
from harness.models.adapter_files import AdapterFiles
from harness.models.adapter_reading import read_adapter
from harness.tracking.candidates import Checkpoint
from harness.tracking.checkpoints import checkpoint_folder
from harness.tracking.registry import alias_version, resolve
from harness.tracking.store import Store
from harness.tracking.versions import versions_of


@dataclass(frozen=True, kw_only=True)
class Challenger:
    """`among`: the checkpoints that it was chosen from `by` an objective, itself the first of them.

    `adapter`: where it is no run's, but somebody's files; its checkpoint then is not logged yet.
    """

    checkpoint: Checkpoint
    among: Sequence[Checkpoint]
    by: Objective
    adapter: AdapterFiles | None = None

    @property
    def said(self) -> str:
        if self.adapter is not None:
            return f"the adapter {self.adapter.source}"
        return f"update {self.checkpoint.step} of run {self.checkpoint.run_id}"

    def files(self, store: Store) -> AdapterFiles:
        """Raises: HarnessError for what cannot be read."""
        if self.adapter is not None:
            return self.adapter
        return read_adapter(checkpoint_folder(store, self.checkpoint.model_id), f"runs:/{self.checkpoint.run_id}")


@dataclass(frozen=True, kw_only=True)
class Champion:
    """What an alias of a registered model points at; `number`: its version, None where there is none yet.

    `model_id`, `run_id`: of the checkpoint that it was made from, where it was from one.
    """

    name: str
    alias: str
    number: int | None = None
    model_id: str | None = None
    run_id: str | None = None

    @property
    def reference(self) -> str:
        return f"models:/{self.name}@{self.alias}"

    @property
    def said(self) -> str:
        return "the bare base" if self.number is None else f"{self.reference} (version {self.number})"

    @property
    def stays(self) -> str:
        """Of an alias that does not move."""
        return f"{self.reference} stays {'unset' if self.number is None else f'version {self.number}'}"

    def files(self, store: Store) -> AdapterFiles | None:
        """None where there is none yet: then it is the bare base.

        Raises:
            HarnessError: for what cannot be read.
        """
        if self.number is None:
            return None
        return read_adapter(resolve(store, f"models:/{self.name}/{self.number}"), self.said)


def champion_of(store: Store, name: str, alias: str) -> Champion:
    number = alias_version(store, name, alias)
    found = next((each for each in versions_of(store, name) if each.number == number), None)
    if found is None:
        return Champion(name=name, alias=alias, number=number)
    return Champion(name=name, alias=alias, number=number, model_id=found.model_id, run_id=found.run_id)


def carries_win_rate(store: Store, model_id: str) -> bool:
    """Whether the texts that were judged were this checkpoint's."""
    return any(each.key == WIN_RATE.name for each in store.client.get_logged_model(model_id).metrics or [])
