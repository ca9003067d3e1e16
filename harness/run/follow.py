"""A process that trains with the first one of its group: the same inputs, its share of the rows, nothing recorded.

Opens no store, says nothing and writes nothing but what the frozen blocks make of rows. Does as it is told (see
followers.py), and ends with 0 also where that was to stop: the first says why.
"""

from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from harness.config.schema import Config
from harness.console.interrupt import gentle_interrupt
from harness.console.progress import Display
from harness.errors import DivergedError, HarnessError, reason
from harness.machine.device import begin_phase
from harness.machine.group import Group, join
from harness.models.adapter import attached
from harness.run.followers import Followers, Order, answer
from harness.run.inputs import Inputs, gather_inputs
from harness.run.preflight import shortage_said
from harness.run.session import Session
from harness.run.training import prepare_step
from harness.tuning.loop import train
from harness.tuning.process import memory_limits

if TYPE_CHECKING:
    from harness.tracking.store import Store


def take_part(config: Config, lead: Callable[[Followers], None]) -> None:
    """In the first of several processes, `lead` with the others to follow; in the others, follow.

    Raises:
        HarnessError: when they do not find each other, or one is lost.
    """
    group = join()
    if group.rank:
        with suppress(KeyboardInterrupt, DivergedError):  # the first tells of it
            follow(config, group)
        return
    followers = Followers(group)
    with followers.led():
        lead(followers)


def follow(config: Config, group: Group) -> None:
    """Do what the first process says, until nothing is left to do."""
    session = Session(_no_store(), Display(silent=True), followers=Followers(group))
    inputs: Inputs | None = None
    failure: HarnessError | None = None
    try:
        # weights to start from come from the first process, as does what to go on with
        inputs = gather_inputs(replace(config, train=replace(config.train, init_adapter=None)), session)
    except HarnessError as error:
        failure = error
    while True:
        order = group.share(None)
        if order == Order.CHECK:
            group.gather(answer(None if failure is None else reason(failure), inputs.parts if inputs else {}))
        elif order == Order.TRAIN and inputs is not None:
            _train(config, inputs, session)
            return
        else:
            return


def _train(config: Config, inputs: Inputs, session: Session) -> None:
    begin_phase()
    settings = config.train
    with (
        memory_limits(settings.memory_limit_gb, settings.cache_limit_gb),
        attached(inputs.base.model, inputs.spec, seed=settings.seed),
    ):
        engine, plan = prepare_step(config, inputs, session)
        begin_phase()
        with shortage_said(plan), gentle_interrupt(session.display.say) as asked:
            train(
                inputs.base.model,
                inputs.train,
                inputs.valid,
                config.train,
                _Nobody(),
                engine=engine,
                interrupted=asked,
                group=session.group,
                b_rate=config.lora.b_rate,
            )


@dataclass(frozen=True)
class _Nobody:
    """A tuning.loop.Watcher that wants to know nothing."""

    def on_update(self, step: int, loss: float) -> None: ...
    def on_window(self, window: Any) -> None: ...
    def on_validating(self, done: int, total: int) -> None: ...
    def on_rows(self, rows: Any) -> None: ...
    def on_score(self, score: Any, state: Any, *, best: bool) -> None: ...
    def on_interrupt(self, state: Any) -> None: ...


def _no_store() -> "Future[Store]":
    none: Future[Store] = Future()
    none.set_exception(HarnessError("only the first of several processes opens the tracking store"))
    return none
