"""What tracking keeps a run from its work: python -m benchmarks.tracking

Times every call by which a run tells something (SQLite, local artifacts), the last of which waits until all has
been sent, and nothing else. What the thread that sends takes of the other processor is not in it.
"""

import functools
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from hydra import compose, initialize_config_dir

from benchmarks.model import build_model, write_data
from harness.config.load import from_hydra
from harness.config.paths import CONF
from harness.config.schema import Config, TrackingConfig
from harness.console.progress import Display
from harness.run.context import RunPlace
from harness.run.pipeline import train_run
from harness.run.session import Session
from harness.tracking.runs import TrackedRun
from harness.tracking.store import open_store

CALLS = ("params", "tags", "metrics", "dataset", "artifact", "table", "checkpoint", "drop_checkpoint", "finish")


class Stopwatch:
    """Sums the time in wrapped functions; a call within a call counts once."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.by_name: dict[str, float] = {}
        self._inside = False

    def wrap(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def timed(*args: Any, **kwargs: Any) -> Any:
            if self._inside:
                return function(*args, **kwargs)
            self._inside = True
            start = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                self._inside = False
                spent = time.perf_counter() - start
                self.seconds += spent
                self.by_name[function.__name__] = self.by_name.get(function.__name__, 0.0) + spent

        return timed


@click.command()
@click.option("--iters", default=200, show_default=True)
def main(iters: int) -> None:
    """Print the seconds that tracking took, by call, and their share of the run."""
    watch = Stopwatch()
    for name in CALLS:
        setattr(TrackedRun, name, watch.wrap(getattr(TrackedRun, name)))
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        build_model(folder / "model", width=128, blocks=12, vocabulary=2048)
        write_data(folder / "data", rows=200, valid_rows=40, median=90, longest=256)
        store = open_store(TrackingConfig(uri=f"sqlite:///{folder / 'mlflow.db'}"))
        session = Session(store, Display())
        train_run(_config(folder, 10), session, RunPlace(name="warm-up"))
        watch.seconds, watch.by_name = 0.0, {}
        start = time.perf_counter()
        train_run(_config(folder, iters), session, RunPlace(name="measured"))
        whole = time.perf_counter() - start
    for name, seconds in sorted(watch.by_name.items(), key=lambda item: -item[1]):
        print(f"{name:16} {seconds:7.3f} s")
    print(f"{'tracking':16} {watch.seconds:7.3f} s of {whole:.1f} s: {watch.seconds / whole:.1%}   (aim: at most 2 %)")


def _config(folder: Path, iters: int) -> Config:
    overrides = [
        f"model.path={folder / 'model'}",
        f"data.path={folder / 'data'}",
        f"train.iters={iters}",
        "train.max_seq_length=256",
        "generate.prompts=[]",
    ]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return from_hydra(compose("config", overrides), Config)


if __name__ == "__main__":
    main(prog_name="python -m benchmarks.tracking")
