"""A step as a process: how it ends, and that a request to end reaches it."""

import pytest

from harness.console.interrupt import Interrupted
from harness.rounds.process import run_process
from harness.rounds.steps import Command


def test_a_step_ends_with_its_own_exit_code() -> None:
    assert run_process(Command(module="tests.rounds.gone", words=[])) == 1


def test_a_request_to_end_is_passed_on_and_then_heeded() -> None:
    with pytest.raises(Interrupted) as asked:
        run_process(Command(module="tests.rounds.asks_to_end", words=[]))
    assert asked.value.exit_code == 143
