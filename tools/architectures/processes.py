"""Each architecture in a process of its own with a time limit: what one crashes costs one cell of the table."""

import multiprocessing
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
_MADE = "made"  # what is told once the model is there
# forked off this process, which computes nothing, each has its libraries at once; macOS allows no fork after Metal
_START = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")


def try_all(names: Sequence[str], *, at_once: int, seconds: float) -> Iterator[tuple[str, Outcomes]]:
    """What each check came to, in the order of `names`. `seconds`: that a check may take."""
    with ThreadPoolExecutor(at_once) as threads:
        yield from zip(names, threads.map(lambda name: _try_one(name, seconds), names), strict=True)


def _try_one(name: str, seconds: float) -> Outcomes:
    outcomes: Outcomes = {}
    while left := [check for check in CHECKS if check not in outcomes]:
        here, there = _START.Pipe()
        process = _START.Process(target=_work, args=(name, left, there))
        process.start()
        there.close()
        ended = _received(here, left, outcomes, seconds)
        process.kill()
        process.join()
        if ended is None:
            return outcomes
        first = next((check for check in left if check not in outcomes), None)
        if first is not None:
            outcomes[first] = Outcome(Grade.FAULT, ended)
        if first == left[0] == next(iter(CHECKS)):  # it cannot even be made or trained
            return {check: outcomes.get(check, Outcome(Grade.UNTRIED)) for check in CHECKS}
    return outcomes


def _received(connection: Connection, left: Sequence[str], outcomes: Outcomes, seconds: float) -> str | None:
    """Takes outcomes in until all are there; else how the process ended."""
    for _ in left:
        try:
            if not connection.poll(seconds):
                return f"it takes more than {seconds:g} s"
            check, outcome = connection.recv()
        except EOFError:
            return "it ends the process"
        outcomes[check] = outcome
    return None


def _work(name: str, checks: Sequence[str], connection: Connection) -> None:
    mx.disable_compile()  # kernels of a model that is used once cost more to compile than they spare
    with tempfile.TemporaryDirectory() as folder:
        case = Case(name, Path(folder))
        for check in checks:
            connection.send((check, outcome_of(CHECKS[check], case)))
