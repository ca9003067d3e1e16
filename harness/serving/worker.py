"""The one thread in which everything of MLX happens, and how the event loop speaks to it.

Knows the engine by its steps. Does not know texts, models or HTTP.
"""

import asyncio
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Protocol, TypeVar

from harness.errors import reason
from harness.machine.own_thread import promised
from harness.sampling.engine import Request, Step
from harness.serving.refusal import RefusalError

Result = TypeVar("Result")
Hear = Callable[[Step | RefusalError], None]

_END_SECONDS = 10.0  # for a step that is under way
_MOST_FAILURES = 3  # one after the other, before nothing more is expected of it


class Engine(Protocol):
    """See sampling.engine."""

    def add(self, request: Request) -> int: ...

    def cancel(self, number: int) -> None: ...

    def step(self) -> list[Step]: ...

    @property
    def busy(self) -> bool: ...


class Ticket:
    """A request that was handed in. `hear` is called in the event loop with its steps, or why there are no more."""

    def __init__(self, slot: int, hear: Hear) -> None:
        self.slot, self.hear = slot, hear
        self.number: int | None = None
        self.ended = False


class Worker:
    """`make`: the engine, called in the thread; again after a failed step, with the slots of what was lost. `say`
    hears of failures."""

    def __init__(self, make: Callable[[Sequence[int]], Engine], say: Callable[[str], None]) -> None:
        self._make, self._say = make, say
        self._inbox: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._tickets: dict[int, Ticket] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._work, name="model", daemon=True)
        self._ready: Future[None] = Future()
        self._stopped = threading.Event()
        self._failures = 0
        self.trouble: str | None = None  # why nothing is written any more

    def start(self) -> None:
        """Returns when the engine is made.

        Raises:
            HarnessError: and whatever else `make` ends with.
        """
        self._thread.start()
        self._ready.result()

    def cut(self) -> None:
        """Write no more after this step; whoever still waits hears of it."""
        self._inbox.put(None)

    def stop(self) -> None:
        """The same, and wait until it is so."""
        self.cut()
        self._stopped.wait(_END_SECONDS)

    def attend(self, loop: asyncio.AbstractEventLoop) -> None:
        """The loop in which steps are heard."""
        self._loop = loop

    def call(self, what: Callable[[], Result]) -> Future[Result]:
        """Do something in the thread, between two steps."""
        return promised(what, self._inbox.put)

    def add(self, request: Request, hear: Hear) -> Ticket:
        ticket = Ticket(request.slot, hear)
        self._inbox.put(lambda: self._begin(ticket, request))
        return ticket

    def cancel(self, ticket: Ticket) -> None:
        """Nothing more is heard of it."""
        ticket.ended = True
        self._inbox.put(lambda: self._leave(ticket))

    def _work(self) -> None:
        try:
            self._engine = self._make([])
        except BaseException as error:
            self._ready.set_exception(error)
        else:
            self._ready.set_result(None)
            self._write()
            del self._engine
        del self._make
        self.trouble = self.trouble or "the server has stopped"
        self._fail(RefusalError(503, self.trouble, code="stopping"))
        self._stopped.set()
        # What MLX keeps for a thread is let go of at the thread's end, and asks for Python. Where Python ends at the
        # same moment, the process aborts ("terminate called without an active exception"): so the thread stays.
        while True:
            if (do := self._inbox.get()) is not None:
                do()

    def _write(self) -> None:
        """Until it is cut; whoever comes after a fault of the thread's own is told of it."""
        while True:
            try:
                if not self._heed_inbox(wait=not self._writes):
                    return
                if self._writes:
                    self._step()
            except Exception as error:
                self._give_up(error)

    @property
    def _writes(self) -> bool:
        return self.trouble is None and self._engine.busy

    def _heed_inbox(self, *, wait: bool) -> bool:
        """Whether to go on."""
        while True:
            try:
                do = self._inbox.get(block=wait)
            except queue.Empty:
                return True
            if do is None:
                return False
            do()
            wait = False

    def _begin(self, ticket: Ticket, request: Request) -> None:
        if ticket.ended:
            return
        if self.trouble is not None:
            self._tell([(ticket, RefusalError(503, self.trouble, code="model_failed"))])
            return
        try:
            ticket.number = self._engine.add(request)
        except Exception as error:
            self._tell([(ticket, RefusalError(500, reason(error), code="model_failed"))])
            return
        self._tickets[ticket.number] = ticket

    def _leave(self, ticket: Ticket) -> None:
        if ticket.number is not None and self._tickets.pop(ticket.number, None) is not None:
            self._engine.cancel(ticket.number)

    def _step(self) -> None:
        try:
            steps = self._engine.step()
        except Exception as error:  # of the device, or of an architecture's own code
            self._failed(error)
            return
        self._failures = 0
        told: list[tuple[Ticket, Step | RefusalError]] = []
        for step in steps:
            ticket = self._tickets.get(step.number)
            if ticket is not None:
                told.append((ticket, step))
                if step.finish_reason is not None:
                    del self._tickets[step.number]
        self._tell(told)

    def _failed(self, error: Exception) -> None:
        """Whoever waited hears of it; the next ones get an engine of their own, and may have luck."""
        self._failures += 1
        self._say(f"warning: writing failed, and {len(self._tickets)} texts with it: {reason(error)}")
        slots = [ticket.slot for ticket in self._tickets.values()]
        self._fail(RefusalError(500, f"writing failed: {reason(error)}", code="model_failed"))
        try:
            self._engine = self._make(slots)
        except Exception as again:
            self._give_up(again)
            return
        if self._failures >= _MOST_FAILURES:
            self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        self.trouble = f"the model cannot write any more: {reason(error)}"
        self._fail(RefusalError(503, self.trouble, code="model_failed"))
        self._say(f"error: {self.trouble}; start the server again")

    def _fail(self, refusal: RefusalError) -> None:
        self._tell([(ticket, refusal) for ticket in self._tickets.values()])
        self._tickets.clear()

    def _tell(self, told: list[tuple[Ticket, Step | RefusalError]]) -> None:
        if not told or self._loop is None:
            return
        try:
            self._loop.call_soon_threadsafe(_hand_on, told)
        except RuntimeError:  # the loop has ended, and with it whoever waited
            return


def _hand_on(told: list[tuple[Ticket, Step | RefusalError]]) -> None:
    for ticket, what in told:
        if not ticket.ended:
            ticket.hear(what)
