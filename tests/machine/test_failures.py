"""What a device's failures are told apart by, and what is said of a watchdog's."""

import pytest

from harness.errors import HarnessError
from harness.machine.failures import DeviceFailure, failure_of, watchdog_said

WATCHDOG = RuntimeError(
    "[METAL] Command buffer execution failed: Impacting Interactivity "
    "(0000000e:kIOGPUCommandBufferCallbackErrorImpactingInteractivity)."
)
METAL = "[METAL] Command buffer execution failed: Insufficient Memory (kIOGPUCommandBufferCallbackErrorOutOfMemory)"


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (WATCHDOG, DeviceFailure.WATCHDOG),
        (RuntimeError(METAL), DeviceFailure.SHORTAGE),
        (RuntimeError("[metal::malloc] Attempting to allocate 9 bytes"), DeviceFailure.SHORTAGE),
        (RuntimeError("cudaMallocAsync failed: out of memory"), DeviceFailure.SHORTAGE),
        (MemoryError(), DeviceFailure.SHORTAGE),
        (RuntimeError("[matmul] shapes do not fit"), None),
        (ValueError("out of memory"), None),
    ],
)
def test_failures_of_a_device_are_told_apart(error: Exception, kind: DeviceFailure | None) -> None:
    assert failure_of(error) is kind


def test_the_watchdog_of_a_display_is_named_with_what_to_do() -> None:
    said = r"Impacting Interactivity\); let the display sleep .*train.resume=auto"
    with pytest.raises(HarnessError, match=said), watchdog_said():
        raise WATCHDOG


def test_other_errors_pass() -> None:
    with pytest.raises(RuntimeError, match="do not fit"), watchdog_said():
        raise RuntimeError("shapes do not fit")
