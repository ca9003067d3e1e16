"""Passes on what the training loop tells: to MLflow, the log, the display and the run's folder."""

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from harness.config.objective import VALID_LOSS
from harness.console.progress import duration
from harness.files import replace_link
from harness.machine.device import memory_use
from harness.models.adapter import save_weights
from harness.models.adapter_files import CONFIG_FILE, WEIGHTS_FILE, checkpoint_name, checkpoint_step
from harness.run.context import RunContext
from harness.run.log import Event
from harness.tracking import run_folder
from harness.tracking.valid_rows import RowKeeper
from harness.tuning.estimate import estimated_seconds
from harness.tuning.evaluate import RowLosses, Score
from harness.tuning.meter import Window
from harness.tuning.state import Course, LoopState, save_state

Record = TypeVar("Record", Window, Score)


class RunWatcher:
    """A tuning.loop.Watcher. Keeps what the report needs.

    At a checkpoint it writes the weights, then the state to go on from, and only then tells MLflow: so
    whatever a killed process leaves undone after its last state can be done from the folder.
    """

    def __init__(self, context: RunContext) -> None:
        inputs = context.inputs
        self._config, self._train, self._valid = context.config, inputs.train, inputs.valid
        self._run, self._log, self._display = context.run, context.log, context.display
        self._lineage = _lineage(context)
        self._adapters = context.folder / run_folder.ADAPTERS
        self._left, self._at_once = context.place.left, context.place.at_once
        self._warned = False
        self._rows = RowKeeper(context.folder, inputs.valid.digest)
        self.windows: list[Window] = []
        self.scores: list[Score] = []

    def resume(self, course: Course) -> None:
        """Take up what an interrupted process left, up to the step that is gone on from."""
        events = [event for event in self._log.read() if event.get("step", math.inf) <= course.step]
        # by step: what an earlier process had done beyond its last state was done again, to the same numbers
        windows = {event["step"]: _record(Window, event) for event in events if event["event"] == Event.TRAINED}
        scores = {event["step"]: _record(Score, event) for event in events if event["event"] == Event.SCORED}
        self.windows, self.scores = list(windows.values()), list(scores.values())
        self._rows.resume([step for step in scores if step])
        self._log.write(Event.RESUMED, step=course.step)
        told = self._run.checkpoints
        for path in sorted(self._adapters.glob("*_adapters.safetensors")):
            step = checkpoint_step(path)
            if step is None or step > course.step:
                path.unlink()  # newer than the state: it will be written again
            elif step not in told:
                self._tell_mlflow(path, scores[step])
        if course.best.step:
            replace_link(self._adapters / WEIGHTS_FILE, checkpoint_name(course.best.step))
            self._drop_old()

    def on_update(self, step: int, loss: float) -> None:
        self._display.update(step, loss=loss)

    def on_window(self, window: Window) -> None:
        self.windows.append(window)
        self._display.update(window.step, loss=window.loss, speed=window.tokens_per_second)
        values = {
            "train/loss": window.loss,
            "train/grad_norm": window.grad_norm,
            "train/learning_rate": window.learning_rate,
            "train/tokens_per_second": window.tokens_per_second,
        }
        use = memory_use()
        values |= {"memory/active_gb": use.active, "memory/cache_gb": use.cache, "memory/peak_gb": use.peak}
        # MLflow's page shows what begins with system/ on a tab of its own
        values |= {"system/memory_process_gb": use.process, "system/memory_available_gb": use.available}
        self._run.metrics(window.step, values)
        self._log.write(Event.TRAINED, **dataclasses.asdict(window), memory_gb=dataclasses.asdict(use))
        self._warn_of_silence()

    def on_validating(self, done: int, total: int) -> None:
        self._display.validating(done, total)

    def on_rows(self, rows: RowLosses) -> None:
        if rows.step:  # the beginning is nobody's choice
            self._rows.add(rows.step, rows.lines, rows.targets, rows.sums)

    def on_score(self, score: Score, state: LoopState | None, *, best: bool) -> None:
        if score.step == 0:
            seconds = estimated_seconds(score, self._train, self._valid, self._config.train)
            left, all_seconds = self._left, self._left * seconds / self._at_once
            every = f", {duration(all_seconds)} for the {left} trials left" if left > 1 else ""
            self._display.say(f"about {duration(seconds)} of training{every}, judging by the first validation")
        self.scores.append(score)
        self._display.update(score.step, valid=score.loss)
        self._log.write(Event.SCORED, **dataclasses.asdict(score))
        if state is None:
            self._run.metrics(score.step, _metrics(score))
        else:
            self._save(score, state, best=best)

    def on_interrupt(self, state: LoopState) -> None:
        save_state(self._run.folder / run_folder.STATE, state)

    def _save(self, score: Score, state: LoopState, *, best: bool) -> None:
        path = self._adapters / checkpoint_name(score.step)
        scored = {"step": str(score.step), VALID_LOSS.checkpoint: repr(score.loss)}
        save_weights(path, state.weights, {**scored, **self._lineage})
        save_state(self._run.folder / run_folder.STATE, state)
        self._tell_mlflow(path, score)
        if best:
            replace_link(self._adapters / WEIGHTS_FILE, path.name)
        self._drop_old()
        self._log.write(Event.SAVED, step=score.step, file=path.name, best=best)

    def _tell_mlflow(self, path: Path, score: Score) -> None:
        lora = self._config.lora
        self._run.checkpoint(
            f"adapters/{path.name}",
            configs=[f"adapters/{CONFIG_FILE}", run_folder.CONFIG],
            step=score.step,
            scores=_metrics(score),
            dataset=(self._valid.name, self._valid.digest),
            params={"lora.rank": lora.rank, "lora.scale": lora.scale, "lora.num_layers": lora.num_layers},
            tags=self._lineage,
        )

    def _drop_old(self) -> None:
        """With train.keep=k: the last k and the best."""
        if self._config.train.keep == "all":
            return
        best = checkpoint_step(self._adapters / WEIGHTS_FILE)
        told = self._run.checkpoints
        kept = {*sorted(told)[-self._config.train.keep :], best}
        for step in sorted(told - kept):
            file = self._adapters / checkpoint_name(step)
            self._run.drop_checkpoint(step, f"adapters/{file.name}")
            file.unlink(missing_ok=True)

    def _warn_of_silence(self) -> None:
        """Say once that MLflow does not take what the run tells, and once that it does again."""
        trouble = self._run.trouble
        if trouble is not None and not self._warned:
            self._display.say(f"warning: the run goes on, but MLflow does not take what it tells: {trouble}")
        elif trouble is None and self._warned:
            self._display.say("MLflow takes what the run tells again")
        self._warned = trouble is not None


def _metrics(score: Score) -> dict[str, float]:
    return {VALID_LOSS.checkpoint: score.loss, "valid/perplexity": score.perplexity}


def _record(record: type[Record], event: Mapping[str, Any]) -> Record:
    return record(**{item.name: event[item.name] for item in dataclasses.fields(record)})


def _lineage(context: RunContext) -> dict[str, str]:
    """What each checkpoint, and so each registered version, says of where it comes from."""
    inputs, sweep = context.inputs, context.place.sweep
    lineage = {} if sweep is None else {"sweep": sweep}
    if inputs.init is not None:
        lineage["init_adapter"] = inputs.init.source
    return lineage | {
        "run": context.run.run_id,
        "experiment": context.config.name,
        "base": inputs.base.path,
        "base_revision": inputs.base.revision,
        "train_digest": inputs.train.digest,
    }
