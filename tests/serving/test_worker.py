"""The thread that writes: what is heard of a failure, and that the next ones are written."""

import asyncio
from collections.abc import Callable, Sequence

import pytest

from harness.errors import HarnessError
from harness.sampling.engine import Request, Step
from harness.serving.refusal import RefusalError
from harness.serving.worker import Worker


class Rows:
    """An engine that writes a token a step; `fails`: whether a step does."""

    def __init__(self, fails: Callable[[], bool]) -> None:
        self._fails, self._left, self._number = fails, dict[int, int](), 0

    def add(self, request: Request) -> int:
        if request.slot == 9:
            raise HarnessError("slot 9 is not there")
        self._number += 1
        self._left[self._number] = request.max_tokens
        return self._number

    def cancel(self, number: int) -> None:
        self._left.pop(number, None)

    def step(self) -> list[Step]:
        if self._fails():
            raise RuntimeError("out of memory")
        steps = []
        for number in list(self._left):
            self._left[number] -= 1
            ended = not self._left[number]
            steps.append(Step(number=number, token=7, finish_reason="length" if ended else None))
            if ended:
                del self._left[number]
        return steps

    @property
    def busy(self) -> bool:
        return bool(self._left)


def heard(worker: Worker, requests: Sequence[Request]) -> list[list[Step | RefusalError]]:
    """What each of them, one after the other, hears to its end."""

    async def ask() -> list[list[Step | RefusalError]]:
        worker.attend(asyncio.get_running_loop())
        told = []
        for request in requests:
            steps: asyncio.Queue[Step | RefusalError] = asyncio.Queue()
            worker.add(request, steps.put_nowait)
            told.append([await asyncio.wait_for(steps.get(), 10)])
            while isinstance(last := told[-1][-1], Step) and last.finish_reason is None:
                told[-1].append(await asyncio.wait_for(steps.get(), 10))
        return told

    return asyncio.run(ask())


def request(slot: int = 0) -> Request:
    return Request(ids=[1], seed=0, slot=slot, max_tokens=2)


def test_whoever_is_under_way_hears_of_a_failure_and_the_next_are_written() -> None:
    failing, lost = [False, True], list[Sequence[int]]()

    def make(slots: Sequence[int]) -> Rows:
        lost.append(slots)
        return Rows(lambda: bool(failing) and failing.pop(0))

    said: list[str] = []
    worker = Worker(make, said.append)
    worker.start()
    first, second, refused = heard(worker, [request(slot=3), request(), request(slot=9)])
    worker.stop()
    assert worker.call(lambda: "here").result(5) == "here", "nobody waits for a thread that has ended"
    assert [type(each) for each in first] == [Step, RefusalError]
    assert str(first[-1]) == "writing failed: RuntimeError: out of memory"
    assert [type(each) for each in second] == [Step, Step]
    assert said == ["warning: writing failed, and 1 texts with it: RuntimeError: out of memory"]
    assert str(refused[0]) == "slot 9 is not there" and lost == [[], [3]]


def test_a_model_that_fails_again_and_again_is_given_up() -> None:
    said: list[str] = []
    worker = Worker(lambda lost: Rows(lambda: True), said.append)
    worker.start()
    told = heard(worker, [request()] * 4)
    worker.stop()
    statuses = [each[0].status for each in told if isinstance(each[0], RefusalError)]
    assert statuses == [500, 500, 500, 503]
    assert worker.trouble == "the model cannot write any more: RuntimeError: out of memory"
    assert len(said) == 4 and said[-1] == f"error: {worker.trouble}; start the server again"


def test_what_cannot_be_made_ends_the_start() -> None:
    def make(lost: Sequence[int]) -> Rows:
        raise HarnessError("no weights")

    with pytest.raises(HarnessError, match="no weights"):
        Worker(make, print).start()


def test_an_engine_that_cannot_be_made_again_is_given_up_once() -> None:
    made = [Rows(lambda: True)]
    said: list[str] = []
    worker = Worker(lambda lost: made.pop(), said.append)
    worker.start()
    told = heard(worker, [request(), request()])
    assert worker.call(lambda: "idle").result(5) == "idle"
    worker.stop()
    assert [each[0].status for each in told if isinstance(each[0], RefusalError)] == [500, 503]
    assert len(said) == 2 and said[-1].startswith("error: the model cannot write any more: IndexError")


def test_a_fault_of_its_own_is_said_and_leaves_nobody_waiting() -> None:
    class Stuck(Rows):
        def cancel(self, number: int) -> None:
            raise KeyError(number)

    said: list[str] = []
    worker = Worker(lambda lost: Stuck(lambda: False), said.append)
    worker.start()

    async def ask() -> list[Step | RefusalError]:
        worker.attend(asyncio.get_running_loop())
        steps: asyncio.Queue[Step | RefusalError] = asyncio.Queue()
        long = Request(ids=[1], seed=0, slot=0, max_tokens=1_000_000_000)
        ticket = worker.add(long, steps.put_nowait)
        await asyncio.wait_for(steps.get(), 10)
        worker.cancel(ticket)
        worker.add(request(), steps.put_nowait)
        while isinstance(last := await asyncio.wait_for(steps.get(), 10), Step):
            continue
        return [last]

    (last,) = asyncio.run(ask())
    worker.stop()
    assert isinstance(last, RefusalError) and last.status == 503
    assert worker.trouble == "the model cannot write any more: KeyError: 1"
    assert said == [f"error: {worker.trouble}; start the server again"]
