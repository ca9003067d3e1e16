"""What memory is given back, whatever this process did before."""

from typing import Any

import mlx.core as mx

from harness.machine.device import begin_phase, freeze_libraries

SIZE = 4_000_000


def _held_by_a_cycle() -> list[Any]:
    """An array of SIZE bytes that only a collection gives back."""
    holder: list[Any] = [mx.zeros(SIZE // 4)]
    mx.eval(holder)
    holder.append(holder)
    return holder


def test_an_array_that_is_garbage_when_the_libraries_are_frozen_is_given_back() -> None:
    begin_phase()
    before = mx.get_active_memory()
    _held_by_a_cycle()
    freeze_libraries()
    begin_phase()
    assert mx.get_active_memory() < before + SIZE


def test_what_runs_hold_is_not_frozen_by_a_second_command_of_the_process() -> None:
    freeze_libraries()
    begin_phase()
    before = mx.get_active_memory()
    holder = _held_by_a_cycle()
    freeze_libraries()
    del holder
    begin_phase()
    assert mx.get_active_memory() < before + SIZE
