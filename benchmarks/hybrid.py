"""What a step costs a model with gated delta rules, against mlx_lm's own trainer: python -m benchmarks.hybrid

Seconds for a step of one row, of whose tokens the second half is learned, and the most memory that MLX held, of tiny
random models in this process; all sides in turn, round by round, medians. The first step, which compiles, is left out;
with --uncompiled, for lengths that mlx_lm's loop takes too long to compile, it counts.
"""

import contextlib
import dataclasses
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
import mlx.core as mx
import mlx.nn as nn
import numpy as np
from hydra import compose, initialize_config_dir
from mlx_lm.tuner import trainer

from benchmarks.model import HYBRIDS, make_hybrid
from benchmarks.prediction import Silent
from harness.config.load import from_hydra
from harness.config.paths import CONF
from harness.config.schema import Config, TrainConfig
from harness.data.dataset import Row, Split
from harness.machine import blas
from harness.models.adapter import attached, spec_for
from harness.tuning.engine import Engine
from harness.tuning.hidden import compute_hidden
from harness.tuning.loop import train
from harness.tuning.meter import Window
from harness.tuning.optimizer import make_optimizer
from harness.tuning.recurrence import chunked_recurrence

ADAPTED = 4


@dataclasses.dataclass(frozen=True)
class Cost:
    """`seconds`: for a step; `peak`: GB that MLX held at most, weights included."""

    seconds: float
    peak: float


class Clock(Silent):
    """A watcher that keeps the time at the end of each step."""

    def __init__(self) -> None:
        self.at: list[float] = []

    def on_window(self, window: Window) -> None:
        self.at.append(time.perf_counter())


@click.command()
@click.option("--tokens", default="512,2048", show_default=True, help="Lengths of rows.")
@click.option("--steps", default=1, show_default=True, help="Of mlx_lm's trainer in a round, after the first.")
@click.option("--rounds", default=3, show_default=True)
@click.option("--models", default=",".join(HYBRIDS), show_default=True)
@click.option("--uncompiled", is_flag=True, help="Both sides without mx.compile.")
def main(tokens: str, steps: int, rounds: int, models: str, uncompiled: bool) -> None:
    """Print seconds and gigabytes of a step, and how many times mlx_lm's trainer takes."""
    if uncompiled:
        mx.disable_compile()
    print(f"the last {ADAPTED} blocks of 8, f32, one row a step; {blas.load().words}")
    for name in models.split(","):
        for width in tokens.split(","):
            print(f"{name}, {width} tokens")
            costs = _measure(name, int(width), steps, rounds, uncompiled=uncompiled)
            reference = costs["mlx_lm's trainer"]
            for side, cost in costs.items():
                times = f"({reference.seconds / cost.seconds:.1f}x)"
                share = f"({cost.peak / reference.peak:.2f})"
                print(f"  {side:30}{cost.seconds:9.3f} s {times:>9}{cost.peak:8.3f} GB {share}", flush=True)


def _measure(name: str, width: int, steps: int, rounds: int, *, uncompiled: bool) -> dict[str, Cost]:
    model, rows = make_hybrid(name), _rows(width)
    config = _config(steps=3 * steps + 1, width=width)
    spec = spec_for(config.lora, model, base=name, base_revision="")
    splits = (Split("train", Path("train"), rows, 0, []), Split("valid", Path("valid"), rows[:1], 0, []))
    with attached(model, spec, seed=0), tempfile.TemporaryDirectory() as scratch:
        at = len(model.layers) - ADAPTED
        with chunked_recurrence(True):
            hidden = {each.name: compute_hidden(model, at, each.rows, Path(scratch) / each.name) for each in splits}
        whole = Engine(at, True, True, hidden=hidden, chunked=True)
        sides: dict[str, Callable[[], Cost]] = {
            "mlx_lm's trainer": lambda: _mlx_lm(model, rows, config.train, Path(scratch), steps, first=uncompiled),
            "recurrence in chunks": lambda: _ours(model, splits, config.train, Engine(chunked=True)),
            "+ what else a run leaves out": lambda: _ours(model, splits, config.train, whole),
        }
        found: dict[str, list[Cost]] = {side: [] for side in sides}
        for _ in range(rounds):
            for side, measure in sides.items():
                found[side].append(measure())
                print(f"  {side}: {found[side][-1]}", file=sys.stderr, flush=True)
        return {side: _median(costs) for side, costs in found.items()}


def _median(costs: Sequence[Cost]) -> Cost:
    return Cost(statistics.median(each.seconds for each in costs), statistics.median(each.peak for each in costs))


def _ours(model: nn.Module, splits: Sequence[Split], settings: TrainConfig, engine: Engine) -> Cost:
    clock = Clock()
    mx.clear_cache()
    outcome = train(model, splits[0], splits[1], settings, clock, engine=engine)
    return Cost(_typical(clock.at), outcome.peak_gb)


def _mlx_lm(
    model: nn.Module, rows: Sequence[Row], settings: TrainConfig, scratch: Path, steps: int, *, first: bool
) -> Cost:
    """`first`: the first step counts."""
    ends: list[float] = []

    class Callback(trainer.TrainingCallback):  # type: ignore[misc]
        def on_train_loss_report(self, report: dict[str, Any]) -> None:
            ends.append(time.perf_counter())

    arguments = trainer.TrainingArgs(
        batch_size=1,
        iters=steps + (not first),
        steps_per_report=1,
        steps_per_save=10**9,
        max_seq_length=settings.max_seq_length,
        adapter_file=str(scratch / "adapters.safetensors"),
    )
    mx.clear_cache()
    mx.reset_peak_memory()
    data = [(row.tokens.tolist(), len(row.tokens) - row.targets) for row in rows]
    optimizer = make_optimizer(settings, arguments.iters)
    if first:
        ends.append(time.perf_counter())
    with contextlib.redirect_stdout(sys.stderr):  # its progress
        trainer.train(model, optimizer, data, args=arguments, training_callback=Callback())
    return Cost(_typical(ends), mx.get_peak_memory() / 1e9)


def _typical(ends: Sequence[float]) -> float:
    return statistics.median(np.diff(ends).tolist())


def _rows(width: int) -> list[Row]:
    rng = np.random.default_rng(0)
    learn = np.arange(width + 1) > width // 2
    return [Row(rng.integers(1, 250, width + 1).astype(np.int32), learn, line) for line in (1, 2)]


def _config(*, steps: int, width: int) -> Config:
    overrides = [
        f"train.iters={steps}",
        "train.batch_size=1",
        "train.steps_per_report=1",
        "train.steps_per_eval=1000000",
        "train.save_every=1000000",
        f"train.max_seq_length={width + 1}",
        f"lora.num_layers={ADAPTED}",
    ]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = from_hydra(compose("config", overrides), Config)
    return dataclasses.replace(config, name="hybrid")


if __name__ == "__main__":
    main(prog_name="python -m benchmarks.hybrid")
