"""What a run leaves behind besides weights: a structured log, a report and a picture of its losses.

Everything is a file in the run's folder first; sending it to MLflow is tracking's business.
"""

import time
from enum import StrEnum
from pathlib import Path
from typing import Any

from harness.files import append_json, read_appended, write_whole
from harness.tuning.evaluate import Score
from harness.tuning.meter import Window


class Event(StrEnum):
    """What a line of a run's log tells."""

    STARTED = "started"
    WARNING = "warning"
    RESUMED = "resumed"
    TRAINED = "trained"
    SCORED = "scored"
    SAVED = "saved"
    TESTED = "tested"
    TRACEBACK = "traceback"
    ENDED = "ended"


class EventLog:
    """log.jsonl: one JSON object a line, with the time in seconds since the epoch and the event's name."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, event: Event, **fields: Any) -> None:
        """One event, now; or `time` of another."""
        append_json(self.path, {"time": round(time.time(), 3), "event": event} | fields)

    def read(self) -> list[dict[str, Any]]:
        """The events so far. Raises DamagedError for a line that cannot be read."""
        return read_appended(self.path)


def draw_losses(path: Path, windows: list[Window], scores: list[Score], title: str) -> None:
    """Training and validation loss by update, the best validation marked, as a PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4))  # a layout that fits itself would draw all of it twice
    axes = figure.add_axes((0.12, 0.13, 0.85, 0.78))
    axes.plot([w.step for w in windows], [w.loss for w in windows], color="tab:blue", alpha=0.6, label="train/loss")
    axes.plot([s.step for s in scores], [s.loss for s in scores], color="tab:orange", marker="o", label="valid/loss")
    best = min(scores, key=lambda score: score.loss)
    axes.annotate(
        f"{best.loss:.4f} at {best.step}",
        (best.step, best.loss),
        textcoords="offset points",
        xytext=(0, 10),
        ha="right" if best.step > scores[-1].step / 2 else "left",  # towards the middle: it must not be cut off
    )
    axes.margins(y=0.15)
    axes.set(xlabel="optimizer updates", ylabel="loss in nats a token", title=title)
    axes.grid(alpha=0.3)
    axes.legend()
    write_whole(path, lambda file: figure.savefig(file, dpi=110), durable=False)
