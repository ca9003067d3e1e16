"""What kind of failure a device ended MLX's work with: the one place that reads it out of a foreign message.

MLX raises a RuntimeError for all of them, with the driver's words.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum

from harness.errors import HarnessError


class DeviceFailure(Enum):
    """`SHORTAGE`: no memory is left. `WATCHDOG`: macOS ended work that held up the display."""

    SHORTAGE = "shortage"
    WATCHDOG = "watchdog"


# Metal's watchdog in its words and in its code's name; then what Metal, CUDA and the CPU say that get no memory
_WORDS = {
    DeviceFailure.WATCHDOG: ("impacting interactivity", "impactinginteractivity"),
    DeviceFailure.SHORTAGE: ("malloc", "insufficient memory", "outofmemory", "out of memory", "bad_alloc"),
}


def failure_of(error: BaseException) -> DeviceFailure | None:
    """None for an error that is no device's, or of no kind that anything is known to do about."""
    if isinstance(error, MemoryError):
        return DeviceFailure.SHORTAGE
    if not isinstance(error, RuntimeError):
        return None
    said = str(error).lower()
    return next((kind for kind, words in _WORDS.items() if any(word in said for word in words)), None)


@contextmanager
def watchdog_said() -> Iterator[None]:
    """The end that macOS puts to long work of the GPU while a display is on, as an error with what to do.

    Raises:
        HarnessError: for that. Where MLX has no caller to tell, the process ends, with "Impacting Interactivity".
    """
    try:
        yield
    except RuntimeError as error:
        if failure_of(error) is not DeviceFailure.WATCHDOG:
            raise
        raise HarnessError(
            "macOS ended the GPU's work for the sake of the display (Impacting Interactivity); let the display sleep "
            "(pmset displaysleepnow) and go on, a run with train.resume=auto; see docs/mac.md"
        ) from error
