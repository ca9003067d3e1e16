"""The training loop: batches in, weights changed, what happened told to a watcher.

Knows nothing of files, MLflow or Optuna.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim

from harness.config.checks import total_updates
from harness.config.schema import TrainConfig
from harness.data.dataset import Split
from harness.machine.group import ALONE, Group
from harness.models.randomness import seeded
from harness.tuning.batches import fixed_batches
from harness.tuning.cut import Tail
from harness.tuning.engine import WHOLE_MODEL, Engine
from harness.tuning.evaluate import Evaluator, RowLosses, Score
from harness.tuning.loss import loss_sum
from harness.tuning.meter import Meter, Window
from harness.tuning.optimizer import make_optimizer
from harness.tuning.process import checkpointed_blocks, dequantized_blocks, wired_memory
from harness.tuning.recurrence import chunked_recurrence
from harness.tuning.state import Course, LoopState, capture, restore
from harness.tuning.step import check_finite, make_step, micro_batches, one_update
from harness.tuning.together import Together, begin_alike

# Raised whenever a change makes the same settings end in other weights: it is part of a run's identity.
ENGINE = 3


class Watcher(Protocol):
    """Who wants to know. Nothing it does may change the weights."""

    def on_update(self, step: int, loss: float) -> None: ...
    def on_window(self, window: Window) -> None: ...
    def on_validating(self, done: int, total: int) -> None: ...
    def on_rows(self, rows: RowLosses) -> None:
        """What the validation of which `on_score` tells next is the mean of."""

    def on_score(self, score: Score, state: LoopState | None, *, best: bool) -> None:
        """A validation. `state`: what was scored, its weights and how to go on, when that is to be saved."""

    def on_interrupt(self, state: LoopState) -> None:
        """The run is to be left after this update; `state` is how to go on from it."""


@dataclass(frozen=True)
class Outcome:
    """`start` and `last`: validation before the first and after the last update; `best`: the lowest after any.

    `peak_gb` is of this process, so of the part after a resumption. `pruned`: `stop` ended it.
    """

    start: Score
    last: Score
    best: Score
    updates: int
    train_seconds: float
    peak_gb: float
    pruned: bool = False

    @classmethod
    def of(cls, course: Course, *, peak_gb: float, pruned: bool = False) -> "Outcome":
        """What the course has come to."""
        return cls(
            start=course.start,
            last=course.last,
            best=course.best,
            updates=course.step,
            train_seconds=course.train_seconds,
            peak_gb=peak_gb,
            pruned=pruned,
        )


def train(
    model: nn.Module,
    train_split: Split,
    valid_split: Split,
    settings: TrainConfig,
    watcher: Watcher,
    *,
    resume: LoopState | None = None,
    engine: Engine = WHOLE_MODEL,
    stop: Callable[[Score], bool] = lambda score: False,
    interrupted: Callable[[], bool] = lambda: False,
    group: Group = ALONE,
    b_rate: float | None = None,
) -> Outcome:
    """Train the attached adapter for the configured number of updates, from the start or from `resume`.

    Validation runs before the first update, at each multiple of steps_per_eval and save_every, and after
    the last: always after the update, on exactly the weights that are then handed to the watcher. With
    `patience`, that many validations in a row without a new best end the run; so does `stop`, asked after each.
    `interrupted` is asked after each update. `b_rate`: see make_optimizer.

    In a `group` all processes call it with the same model, splits and settings; `resume` and `stop` are those of the
    first, `interrupted` is asked of each. The weights are those of one process, but for rounding, dropout and noise.

    Raises:
        DivergedError: when the loss is not finite any more.
        LostError: when another process of the group is gone.
        KeyboardInterrupt: when `interrupted`, once the watcher has the state to go on from.
    """
    tail = engine.tail(model, noise=settings.neftune_alpha)
    checkpointed = checkpointed_blocks(model, settings.grad_checkpoint)
    dequantized = dequantized_blocks(model, settings.dequantize_tail)
    mx.reset_peak_memory()
    in_chunks = chunked_recurrence(engine.chunked)
    with wired_memory(), seeded(settings.seed), in_chunks, dequantized, checkpointed, tail.in_place():
        optimizer = make_optimizer(settings, total_updates(settings, len(train_split.rows)), b_rate=b_rate)
        resume = begin_alike(group, model, resume)
        run = _Run(
            tail,
            train_split,
            valid_split,
            settings,
            watcher,
            optimizer,
            engine=engine,
            stop=stop,
            interrupted=interrupted,
            group=group,
        )
        run.begin(resume)
        del resume  # its arrays would stay beside the new ones
        while not run.ended:
            run.update()
            if run.to_validate:
                run.validate()
            if not run.ended and run.leaving:
                run.leave()
        model.eval()
    return run.outcome


class _Run:
    """A run under way: how far it is, and what it does next. Everything is done in the order in which it draws luck."""

    def __init__(
        self,
        tail: Tail,
        train_split: Split,
        valid_split: Split,
        settings: TrainConfig,
        watcher: Watcher,
        optimizer: optim.Optimizer,
        *,
        engine: Engine,
        stop: Callable[[Score], bool],
        interrupted: Callable[[], bool],
        group: Group,
    ) -> None:
        self._tail, self._model, self._engine = tail, tail.model, engine
        self._train, self._valid, self._settings = train_split, valid_split, settings
        self._watcher, self._stop, self._interrupted, self._group = watcher, stop, interrupted, group
        self._updates = total_updates(settings, len(train_split.rows))
        self._make = engine.batcher(valid_split.name)
        self._evaluator = Evaluator(tail, fixed_batches(valid_split.rows, settings.batch_size, self._make), group)
        self._optimizer = optimizer
        self._optimizer.init(self._model.trainable_parameters())
        self._step, self._pruned, self._grad_norm = 0, False, 0.0

    def begin(self, resume: LoopState | None) -> None:
        """Score the start, or put everything back as it was left; then make what an update needs."""
        self._model.eval()  # or dropout would draw here
        # read what lies outside the blocks now: what is not there when a step is compiled would be read in each
        mx.eval(loss_sum(self._tail, *self._make(self._valid.rows[:1]).inputs))
        if resume is None:
            start = self._evaluator.score(0, self._watcher.on_validating, self._watcher.on_rows)
            self._watcher.on_score(start, None, best=False)
            self._course = Course.beginning(start)
        else:
            restore(resume, self._model, self._optimizer)
            self._course = resume.course
        self._step = self._course.step
        self._meter = Meter(self._optimizer, self._course)
        batcher = self._engine.training_batcher(self._train, noise=self._settings.neftune_alpha)
        self._together: Together | None = None
        if self._group.size > 1:
            self._together = Together(
                self._tail,
                self._optimizer,
                self._train,
                self._settings,
                group=self._group,
                make=batcher,
                updates_done=self._step,
                asked=self._interrupted,
            )
            return
        self._apply = make_step(self._tail, self._optimizer, max_grad_norm=self._settings.max_grad_norm)
        self._micro_batches = micro_batches(self._train, self._settings, self._step, batcher)

    @property
    def ended(self) -> bool:
        return self._step >= self._updates or self._pruned or self._out_of_patience

    @property
    def to_validate(self) -> bool:
        return self._to_save or self._step % self._settings.steps_per_eval == 0

    @property
    def leaving(self) -> bool:
        """Whether it is to be left after this update."""
        return self._interrupted() if self._together is None else self._together.leaving

    @property
    def outcome(self) -> Outcome:
        return Outcome.of(self._course, peak_gb=mx.get_peak_memory() / 1e9, pruned=self._pruned)

    def update(self) -> None:
        """Change the weights once, and tell what that was like."""
        self._step += 1
        if not self._model.training:  # after a validation; telling each module takes a millisecond of a large model
            self._model.train()
        tic = time.perf_counter()
        if self._together is not None:
            done = self._together.update(self._step)
        else:
            done = one_update(self._apply, next(self._micro_batches), self._step, self._train)
        self._meter.add(done, time.perf_counter() - tic)
        self._grad_norm = done.grad_norm
        self._watcher.on_update(self._step, done.loss / done.targets)
        if self._step % self._settings.steps_per_report == 0 or self._step == self._updates:
            self._watcher.on_window(self._meter.read(self._step, done.grad_norm))

    def validate(self) -> None:
        """Score these very weights, decide whether that is the end, and hand them over where they are to be kept."""
        score = self._evaluator.score(self._step, self._watcher.on_validating, self._watcher.on_rows)
        check_finite(score.loss, f"the validation loss after update {self._step}")
        best = self._course.best.step == 0 or score.loss < self._course.best.loss
        self._course = self._meter.scored(self._course, score, best=best)
        self._pruned = self._group.share(self._stop(score)) and self._step < self._updates  # else it is whole
        if self._out_of_patience and self._meter.unread:  # the last report
            self._watcher.on_window(self._meter.read(self._step, self._grad_norm))
            self._course = self._meter.at(self._step, self._course)
        keep = self._to_save or best or self.ended
        self._watcher.on_score(score, self._captured() if keep else None, best=best)

    def leave(self) -> None:
        """Hand over how to go on after this update."""
        self._course = self._meter.at(self._step, self._course)
        self._watcher.on_interrupt(self._captured())
        raise KeyboardInterrupt

    @property
    def _to_save(self) -> bool:
        return self._step % self._settings.save_every == 0 or self._step == self._updates

    @property
    def _out_of_patience(self) -> bool:
        return self._settings.patience is not None and self._course.stale >= self._settings.patience

    def _captured(self) -> LoopState:
        return capture(self._model, self._optimizer, self._course)
