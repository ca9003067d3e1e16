"""A sweep in a process of its own, begun again whenever that process dies: it costs one trial an attempt.

The process is the same command with sweep.workers=0. What it had in hand, the study knows (sweeping/study.py).
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence

from harness.errors import HarnessError

CONTROLLER = "HARNESS_CONTROLLER"  # the id of the process that watches over this one
_AT_ONCE_SECONDS = 3.0  # too short to have begun a trial
_TIMES = 3

# what systems say when a process is killed for what it took
_LIKELY = {
    signal.SIGKILL: "perhaps for want of memory",
    signal.SIGSEGV: "so MLX's CPU backend ends when memory is short",
}


def worker_command(words: Sequence[str]) -> list[str]:
    """The command of the process that does the work, from the words of the one that watches."""
    kept = [word for word in words if not word.startswith("sweep.workers=")]
    return [sys.executable, "-m", "harness.train", *kept, "sweep.workers=0"]


def supervise(command: Sequence[str]) -> int:
    """Run it until it ends by itself; returns its exit status.

    Raises:
        HarnessError: when it dies again and again before it can have begun.
    """
    at_once = 0
    while True:
        started = time.monotonic()
        status = _run(command)
        if status >= 0:
            return status
        at_once = at_once + 1 if time.monotonic() - started < _AT_ONCE_SECONDS else 0
        died = signal.Signals(-status)
        if at_once == _TIMES:
            raise HarnessError(f"the process that trains was ended by {died.name} {_TIMES} times as it began")
        why = f" ({_LIKELY[died]})" if died in _LIKELY else ""
        print(f"the process that trains was ended by {died.name}{why}; its trial is taken up again", file=sys.stderr)


def controller_is_gone() -> bool:
    """Whether the process that watched over this one is not there any more."""
    return CONTROLLER in os.environ and os.getppid() != int(os.environ[CONTROLLER])


def _run(command: Sequence[str]) -> int:
    """Ctrl-C is passed on, once each time, and the other process waited for: it puts things in order."""
    environment = os.environ | {CONTROLLER: str(os.getpid())}
    with subprocess.Popen(command, env=environment, start_new_session=True) as process:
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:
                process.send_signal(signal.SIGINT)
