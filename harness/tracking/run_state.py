"""What became of a run: MLflow's statuses, and pruned, for which MLflow has none. Knows nothing of where it is kept."""

from collections.abc import Mapping
from enum import StrEnum

STATE = "state"  # the tag that says it in Optuna's words
_FAILURE = "failure"


class RunState(StrEnum):
    """How a run stands."""

    SCHEDULED = "SCHEDULED"
    RUNNING = "RUNNING"
    FINISHED = "FINISHED"
    FAILED = "FAILED"
    KILLED = "KILLED"
    PRUNED = "PRUNED"  # ended early by a search: others were better

    @property
    def status(self) -> str:
        """MLflow's word for it."""
        return "KILLED" if self is RunState.PRUNED else self.value

    @property
    def tag(self) -> str:
        """What the tag `STATE` says of a run that ended so."""
        return _TAGS.get(self, self.value)


_TAGS = {RunState.FINISHED: "COMPLETE", RunState.KILLED: "INTERRUPTED"}


def state_of(status: str, tags: Mapping[str, str]) -> RunState:
    """From MLflow's status of a run, and its tags."""
    pruned = tags[STATE] == RunState.PRUNED.tag if STATE in tags else _pruned_before_there_was_a_tag(tags)
    return RunState.PRUNED if pruned and status == RunState.PRUNED.status else RunState(status)


def _pruned_before_there_was_a_tag(tags: Mapping[str, str]) -> bool:
    """Runs of former versions say it with the first word of their reason alone."""
    return tags.get(_FAILURE, "").startswith("pruned")
