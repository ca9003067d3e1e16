"""Passes on what the training loop tells: to MLflow, the log, the display and the run's folder."""

from collections.abc import Mapping
from pathlib import Path

from harness.config.schema import Config
from harness.data.dataset import Split
from harness.models.adapter import CONFIG_FILE, WEIGHTS_FILE, checkpoint_name, save_weights
from harness.progress import Display, duration
from harness.record import EventLog
from harness.tracking.checkpoints import drop_checkpoint, log_checkpoint
from harness.tracking.registry import OBJECTIVE
from harness.tracking.runs import TrackedRun
from harness.tuning.evaluate import Score
from harness.tuning.loop import Weights, Window, estimated_seconds

RUN_CONFIG = "config.yaml"  # the resolved configuration, in the run's folder


class RunWatcher:
    """A tuning.loop.Watcher. Keeps what the report needs; `best_file` is a link to the best checkpoint."""

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
        self._adapters = folder / "adapters"
        self._model_ids: dict[Path, str] = {}
        self.windows: list[Window] = []
        self.scores: list[Score] = []
        self.best_file = self._adapters / WEIGHTS_FILE

    def on_update(self, step: int, loss: float) -> None:
        self._display.update(step, loss=loss)

    def on_window(self, window: Window) -> None:
        self.windows.append(window)
        self._display.update(window.step, loss=window.loss, speed=window.tokens_per_second)
        values = {
            "train/loss": window.loss,
            "train/learning_rate": window.learning_rate,
            "train/tokens_per_second": window.tokens_per_second,
        }
        self._run.metrics(window.step, values)
        self._log.write("trained", step=window.step, **values)

    def on_validating(self, done: int, total: int) -> None:
        self._display.validating(done, total)

    def on_score(self, score: Score, weights: Weights | None, *, best: bool) -> None:
        if score.step == 0:
            seconds = estimated_seconds(score, self._train, self._valid, self._config.train)
            self._display.say(f"about {duration(seconds)} of training, judging by the first validation")
        self.scores.append(score)
        self._display.update(score.step, valid=score.loss)
        values = {OBJECTIVE: score.loss, "valid/perplexity": score.perplexity}
        self._log.write("scored", step=score.step, seconds=round(score.seconds, 3), **values)
        if weights is None:
            self._run.metrics(score.step, values)
        else:
            self._save(score, weights, values, best=best)

    def _save(self, score: Score, weights: Weights, values: Mapping[str, float], *, best: bool) -> None:
        path = self._adapters / checkpoint_name(score.step)
        save_weights(path, weights, {"step": str(score.step), OBJECTIVE: repr(score.loss), **self._lineage})
        lora = self._config.lora
        self._model_ids[path] = log_checkpoint(
            self._run,
            path,
            configs=[self._adapters / CONFIG_FILE, self._adapters.parent / RUN_CONFIG],
            step=score.step,
            scores=values,
            dataset=(self._valid.name, self._valid.digest),
            params={"lora.rank": lora.rank, "lora.scale": lora.scale, "lora.num_layers": lora.num_layers},
            tags=self._lineage,
        )
        if best:
            _point(self.best_file, path.name)
        self._drop_old()
        self._log.write("saved", step=score.step, file=path.name, best=best)

    def _drop_old(self) -> None:
        """With train.keep=k: the last k and the best."""
        if self._config.train.keep == "all":
            return
        kept = {*sorted(self._model_ids)[-self._config.train.keep :], self.best_file.resolve()}
        for path in sorted(self._model_ids.keys() - kept):
            drop_checkpoint(self._run, self._model_ids.pop(path))
            path.unlink()


def _point(link: Path, target: str) -> None:
    """Make `link` a symbolic link to its neighbour `target`, replacing a former one at once."""
    temporary = link.with_name(f".{link.name}")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target)
    temporary.replace(link)
