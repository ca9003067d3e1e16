"""What became of a run, from what MLflow has of it."""

import pytest

from harness.tracking.run_state import STATE, RunState, state_of


@pytest.mark.parametrize(
    ("status", "tags", "state"),
    [
        ("KILLED", {"failure": "pruned after update 3"}, RunState.PRUNED),  # before there was a tag
        ("KILLED", {STATE: "PRUNED", "failure": "others were better"}, RunState.PRUNED),
        ("KILLED", {STATE: "INTERRUPTED", "failure": "pruned trees"}, RunState.KILLED),
        ("RUNNING", {STATE: "PRUNED"}, RunState.RUNNING),
        ("FINISHED", {STATE: "COMPLETE"}, RunState.FINISHED),
    ],
)
def test_a_run_says_what_became_of_it(status: str, tags: dict[str, str], state: RunState) -> None:
    assert state_of(status, tags) is state
