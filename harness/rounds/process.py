"""A step as a process of its own, to which requests to end are passed on. Knows nothing of what it does."""

import subprocess
import sys

from harness.console.interrupt import interrupted_by, requests_collected
from harness.rounds.steps import Command

_LOOK_SECONDS = 0.2  # how often requests are looked for


def run_process(command: Command) -> int:
    """Its exit code.

    Raises:
        Interrupted: once it has ended, where this one was asked to end meanwhile.
    """
    with requests_collected() as requests:
        # in a group of its own: a Ctrl-C reaches it through this one, once
        process = subprocess.Popen([sys.executable, "-m", command.module, *command.words], process_group=0)
        passed = 0
        while True:
            try:
                code = process.wait(_LOOK_SECONDS)
                break
            except subprocess.TimeoutExpired:
                for number in requests[passed:]:
                    process.send_signal(number)
                passed = len(requests)
    if requests:
        raise interrupted_by(requests[0])
    return code
