"""What is said before a run of the memory that it needs and that there is."""

from collections.abc import Callable

import pytest

from harness.config.schema import Config
from harness.console.progress import Display
from harness.errors import HarnessError
from harness.models.adapter import attached
from harness.run.inputs import gather_inputs
from harness.run.preflight import MemoryPlan, check_memory, plan_memory, shortage_said
from harness.run.session import Session
from harness.tracking.store import Store
from harness.tuning.memory import shape_of


@pytest.fixture
def plan(quick_config: Callable[..., Config], store: Store) -> MemoryPlan:
    config = quick_config()
    inputs = gather_inputs(config, Session(store, Display()))
    with attached(inputs.base.model, inputs.spec, seed=0):
        shape = shape_of(inputs.base.model, inputs.spec, inputs.base.settings)
        return plan_memory(config, inputs, shape, at=6)


def test_too_little_memory_is_warned_of_with_what_to_change(plan: MemoryPlan) -> None:
    warning = check_memory(plan, "builtin:tiny", has=5_000_000, free=5_000_000)[-1]
    assert "warning: the device has 5 MB for this; should it not do, change in this order" in warning
    assert "train.grad_checkpoint=true (" in warning and "a smaller base" in warning


def test_memory_that_other_programs_hold_is_warned_of(plan: MemoryPlan) -> None:
    lines = check_memory(plan, "builtin:tiny", has=10**9, free=1_000_000)
    assert lines[-1] == "warning: other programs leave 1 MB of 1.0 GB free; close some first"


def test_a_limit_below_what_is_needed_is_warned_of(plan: MemoryPlan) -> None:
    has = 100 * plan.phases["training"].total
    said = check_memory(plan, "a base", has=has, free=has, limit_gb=1e-6)
    assert "warning: train.memory_limit_gb=1e-06 is less than training needs" in said[-1]
    assert check_memory(plan, "a base", has=has, free=has, limit_gb=1e3) == said[:-1]


def test_enough_memory_is_not_warned_of(plan: MemoryPlan) -> None:
    lines = check_memory(plan, "builtin:tiny", has=10**9, free=10**9)
    assert [line.partition(" needs about ")[0] for line in lines] == list(plan.phases)


def test_a_base_that_the_device_cannot_hold_is_refused(plan: MemoryPlan) -> None:
    with pytest.raises(HarnessError, match=r"take \d+ MB, but the device has 0 MB; choose a smaller base"):
        check_memory(plan, "builtin:tiny", has=1_000, free=1_000)


def test_a_device_that_ends_the_work_says_in_a_line_what_to_change(plan: MemoryPlan) -> None:
    with (
        pytest.raises(HarnessError, match=r"out of memory \(RuntimeError: .*\); change in this order"),
        shortage_said(plan),
    ):
        raise RuntimeError("[METAL] Command buffer execution failed: Insufficient Memory")
    with pytest.raises(HarnessError, match="for the sake of the display"), shortage_said(plan):
        raise RuntimeError("[METAL] Command buffer execution failed: Impacting Interactivity")
    with pytest.raises(RuntimeError, match="shapes"), shortage_said(plan):
        raise RuntimeError("shapes")
