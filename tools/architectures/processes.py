"""Each architecture in a process of its own with a time limit: what one crashes costs one cell of the table."""

import logging
import multiprocessing
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path

import mlx.core as mx

from tools.architectures.case import Case
from tools.architectures.checks import CHECKS, Grade, Outcome, outcome_of

Outcomes = dict[str, Outcome]
# forked off this process, which computes nothing, each has its libraries at once; macOS allows no fork after Metal
_FORKED = sys.platform == "linux"


def try_all(names: Sequence[str], *, at_once: int, seconds: float) -> Iterator[tuple[str, Outcomes]]:
    """What each check came to, in the order of `names`. `seconds`: that a check may take."""
    with ThreadPoolExecutor(at_once) as threads:
        yield from zip(names, threads.map(lambda name: _try_one(name, seconds), names), strict=True)


def _try_one(name: str, seconds: float) -> Outcomes:
    outcomes: Outcomes = {}
    while left := [check for check in CHECKS if check not in outcomes]:
        outcomes |= _received(name, left, seconds)
        if not _goes_on(outcomes):
            return {check: outcomes.get(check, Outcome(Grade.UNTRIED)) for check in CHECKS}
    return outcomes


def _received(name: str, left: Sequence[str], seconds: float) -> Outcomes:
    """What one process finds; where it ends before its time, so does the check that it was at."""
    start = multiprocessing.get_context("fork") if _FORKED else multiprocessing.get_context("spawn")
    here, there = start.Pipe()
    process = start.Process(target=_work, args=(name, left, there))
    process.start()
    there.close()
    found: Outcomes = {}
    try:
        for check in left:
            if not here.poll(seconds):
                found[check] = Outcome(Grade.FAULT, f"it takes more than {seconds:g} s")
                break
            found[check] = here.recv()
            if not _goes_on(found):
                break
    except EOFError:
        found[left[len(found)]] = Outcome(Grade.FAULT, "it ends the process")
    finally:
        process.kill()
        process.join()
    return found


def _goes_on(outcomes: Outcomes) -> bool:
    """What cannot be trained would only say so again in each check."""
    return outcomes[next(iter(CHECKS))].grade is Grade.YES


def _work(name: str, checks: Sequence[str], connection: Connection) -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what mlx-lm prints
    logging.disable()
    mx.disable_compile()  # kernels of a model that is used once cost more to compile than they spare
    with tempfile.TemporaryDirectory() as folder:
        case = Case(name, Path(folder))
        for check in checks:
            connection.send(outcome_of(CHECKS[check], case))
