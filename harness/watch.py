"""Passes on what the training loop tells: to MLflow, the log, the display and the run's folder."""

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from harness.config.schema import Config
from harness.data.dataset import Split
from harness.models.adapter import CONFIG_FILE, WEIGHTS_FILE, checkpoint_name, checkpoint_step, save_weights
from harness.progress import Display, duration
from harness.record import EventLog
from harness.resume import STATE_FILE
from harness.tracking.checkpoints import drop_checkpoint, log_checkpoint, logged_checkpoints
from harness.tracking.registry import OBJECTIVE
from harness.tracking.runs import TrackedRun
from harness.tuning.evaluate import Score
from harness.tuning.loop import Window, estimated_seconds
from harness.tuning.state import Course, LoopState, save_state

Record = TypeVar("Record", Window, Score)

RUN_CONFIG = "config.yaml"  # the resolved configuration, in the run's folder


class RunWatcher:
    """A tuning.loop.Watcher. Keeps what the report needs.

    At a checkpoint it writes the weights, then the state to go on from, and only then tells MLflow: so
    whatever a killed process leaves undone after its last state can be done from the folder.
    """

    def __init__(
        self,
        config: Config,
        train_split: Split,
        valid_split: Split,
        *,
        run: TrackedRun,
        log: EventLog,
        folder: Path,
        display: Display,
        lineage: Mapping[str, str],
    ) -> None:
        self._config, self._train, self._valid = config, train_split, valid_split
        self._run, self._log, self._display, self._lineage = run, log, display, lineage
        self._folder, self._adapters = folder, folder / "adapters"
        self._model_ids: dict[int, str] = {}
        self.windows: list[Window] = []
        self.scores: list[Score] = []

    def go_on(self, course: Course) -> None:
        """Take up what an interrupted process left, up to the step that is gone on from."""
        events = [event for event in self._log.read() if event.get("step", math.inf) <= course.step]
        # by step: what an earlier process had done beyond its last state was done again, to the same numbers
        windows = {event["step"]: _record(Window, event) for event in events if event["event"] == "trained"}
        scores = {event["step"]: _record(Score, event) for event in events if event["event"] == "scored"}
        self.windows, self.scores = list(windows.values()), list(scores.values())
        self._log.write("resumed", step=course.step)
        self._model_ids = logged_checkpoints(self._run)
        for path in sorted(self._adapters.glob("*_adapters.safetensors")):
            step = checkpoint_step(path)
            if step is None or step > course.step:
                path.unlink()  # newer than the state: it will be written again
            elif step not in self._model_ids:
                self._tell_mlflow(path, scores[step])
        if course.best.step:
            _point(self._adapters / WEIGHTS_FILE, checkpoint_name(course.best.step))
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
        self._run.metrics(window.step, values)
        self._log.write("trained", **dataclasses.asdict(window))

    def on_validating(self, done: int, total: int) -> None:
        self._display.validating(done, total)

    def on_score(self, score: Score, state: LoopState | None, *, best: bool) -> None:
        if score.step == 0:
            seconds = estimated_seconds(score, self._train, self._valid, self._config.train)
            self._display.say(f"about {duration(seconds)} of training, judging by the first validation")
        self.scores.append(score)
        self._display.update(score.step, valid=score.loss)
        self._log.write("scored", **dataclasses.asdict(score))
        if state is None:
            self._run.metrics(score.step, _metrics(score))
        else:
            self._save(score, state, best=best)

    def _save(self, score: Score, state: LoopState, *, best: bool) -> None:
        path = self._adapters / checkpoint_name(score.step)
        save_weights(path, state.weights, {"step": str(score.step), OBJECTIVE: repr(score.loss), **self._lineage})
        self._run.flush()
        save_state(self._folder / STATE_FILE, state)
        self._tell_mlflow(path, score)
        if best:
            _point(self._adapters / WEIGHTS_FILE, path.name)
        self._drop_old()
        self._log.write("saved", step=score.step, file=path.name, best=best)

    def _tell_mlflow(self, path: Path, score: Score) -> None:
        lora = self._config.lora
        self._model_ids[score.step] = log_checkpoint(
            self._run,
            path,
            configs=[self._adapters / CONFIG_FILE, self._folder / RUN_CONFIG],
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
        kept = {*sorted(self._model_ids)[-self._config.train.keep :], best}
        for step in sorted(self._model_ids.keys() - kept):
            drop_checkpoint(self._run, self._model_ids.pop(step))
            (self._adapters / checkpoint_name(step)).unlink(missing_ok=True)


def _metrics(score: Score) -> dict[str, float]:
    return {OBJECTIVE: score.loss, "valid/perplexity": score.perplexity}


def _record(record: type[Record], event: Mapping[str, Any]) -> Record:
    return record(**{item.name: event[item.name] for item in dataclasses.fields(record)})


def _point(link: Path, target: str) -> None:
    """Make `link` a symbolic link to its neighbour `target`, replacing a former one at once."""
    temporary = link.with_name(f".{link.name}")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target)
    temporary.replace(link)
