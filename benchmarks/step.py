"""What a step costs, with each thing left out in turn, against mlx_lm's own trainer: python -m benchmarks.step

Time for a supervised token over whole epochs after the first, in this process, validation and saving left out.
Beside it the floor of the cost model: two passes through the n adapted blocks and two through the head for the
learned share c of the positions, 2n + 2ch blocks' forward passes, with blocks and head timed here.
"""

import contextlib
import dataclasses
import statistics
import sys
import tempfile
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import mlx.core as mx
from hydra import compose, initialize_config_dir
from mlx_lm.tuner import datasets, trainer

from benchmarks.model import build_model, write_conversations
from benchmarks.prediction import Silent
from harness.config.load import from_hydra
from harness.config.paths import CONF
from harness.config.schema import Config, TrackingConfig
from harness.console.progress import Display
from harness.machine import blas
from harness.models.adapter import attached
from harness.run.inputs import Inputs, gather_inputs
from harness.run.session import Session
from harness.tracking.store import open_store
from harness.tuning.batches import fixed_batches
from harness.tuning.cut import between
from harness.tuning.engine import Engine, disagreement, first_adapted
from harness.tuning.hidden import compute_hidden
from harness.tuning.loop import train
from harness.tuning.meter import Window
from harness.tuning.optimizer import make_optimizer

ROWS, BATCH, EPOCHS = 64, 4, 3


class Timed(Silent):
    """A watcher that keeps the windows: an epoch each."""

    def __init__(self) -> None:
        self.windows: list[Window] = []

    def on_window(self, window: Window) -> None:
        self.windows.append(window)


@click.command()
@click.option("--width", default=256, show_default=True)
@click.option("--blocks", default=24, show_default=True)
@click.option("--adapted", default="4,8,16", show_default=True, help="Numbers of last blocks that are adapted.")
def main(width: int, blocks: int, adapted: str) -> None:
    """Print milliseconds a supervised token and the ratio to mlx_lm's trainer, for each number of adapted blocks."""
    print(f"{blocks} blocks of width {width}, vocabulary {16 * width}, f32, batch {BATCH}; {blas.load().words}")
    print(f"{'':26}" + "".join(f"{f'n = {n}':>18}" for n in adapted.split(",")))
    table: dict[str, list[str]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        build_model(folder / "model", width=width, blocks=blocks, vocabulary=16 * width)
        write_conversations(folder / "data", rows=ROWS, valid_rows=8)
        for n in adapted.split(","):
            for name, milliseconds, ratio in _measure(folder, int(n)):
                table.setdefault(name, []).append(f"{milliseconds:9.3f} ({ratio:4.2f}x)")
    for name, cells in table.items():
        print(f"{name:26}" + "".join(f"{cell:>18}" for cell in cells))


def _measure(folder: Path, n: int) -> list[tuple[str, float, float]]:
    config = _config(folder, n)
    session = Session(open_store(TrackingConfig(uri=f"sqlite:///{folder / 'mlflow.db'}")), Display())
    inputs = gather_inputs(config, session)
    inputs.base.materialize()
    targets = sum(row.targets for row in inputs.train.rows)
    with attached(inputs.base.model, inputs.spec, seed=0):
        at = first_adapted(inputs.base.model, inputs.spec)
        engine = Engine(at, True, True)
        assert disagreement(inputs.base.model, engine, inputs.train.rows[:2]) is None
        splits = (inputs.train, inputs.valid)
        start = time.perf_counter()
        kept = folder / f"trunk-{at}"
        hidden = {each.name: compute_hidden(inputs.base.model, at, each.rows, kept / each.name) for each in splits}
        once = (time.perf_counter() - start) / targets
        sides: dict[str, Callable[[], float]] = {
            "mlx_lm's trainer": lambda: _mlx_lm(folder, config, inputs, targets),
            "sorted batches": lambda: _ours(config, inputs, Engine()),
            "+ frozen blocks once": lambda: _ours(config, inputs, Engine(at, hidden=hidden)),
            "+ head on targets": lambda: _ours(config, inputs, Engine(at, True, hidden=hidden)),
            "+ last block on targets": lambda: _ours(config, inputs, Engine(at, True, True, hidden=hidden)),
        }
        seconds = {name: statistics.median(measure() for _ in range(2)) for name, measure in sides.items()}
        seconds["floor, 2n + 2ch"] = _floor(inputs, n, at)
        seconds["(frozen blocks, once)"] = once
    reference = seconds["mlx_lm's trainer"]
    return [(name, 1000 * value, reference / value) for name, value in seconds.items()]


def _ours(config: Config, inputs: Inputs, engine: Engine) -> float:
    watcher = Timed()
    train(inputs.base.model, inputs.train, inputs.valid, config.train, watcher, engine=engine)
    return statistics.median(window.seconds / window.targets for window in watcher.windows[1:])


def _mlx_lm(folder: Path, config: Config, inputs: Inputs, targets: int) -> float:
    settings = types.SimpleNamespace(mask_prompt=True, prompt_feature="prompt", completion_feature="completion")
    lines, _, _ = datasets.load_local_dataset(folder / "data", inputs.base.tokenizer.mlx_lm, settings)
    seconds: list[float] = []

    class Callback(trainer.TrainingCallback):  # type: ignore[misc]
        def on_train_loss_report(self, report: dict[str, Any]) -> None:
            seconds.append(ROWS // BATCH / report["iterations_per_second"])

    arguments = trainer.TrainingArgs(
        batch_size=BATCH,
        iters=EPOCHS * ROWS // BATCH,
        steps_per_report=ROWS // BATCH,
        steps_per_save=10**9,
        max_seq_length=config.train.max_seq_length,
        adapter_file=str(folder / "adapters.safetensors"),
    )
    optimizer = make_optimizer(config.train, arguments.iters)
    data = datasets.CacheDataset(lines)
    with contextlib.redirect_stdout(sys.stderr):  # its progress
        trainer.train(inputs.base.model, optimizer, data, args=arguments, training_callback=Callback())
    return statistics.median(seconds[1:]) / targets


def _floor(inputs: Inputs, n: int, at: int) -> float:
    """Seconds a learned token, from forward passes timed by themselves."""
    model, rows = inputs.base.model, inputs.train.rows
    batches = fixed_batches(rows, BATCH)
    positions = sum(batch.computed for batch in batches)
    targets = sum(row.targets for row in rows)
    stop = min(at, len(model.layers) - 1)
    with between(model, 0, stop) as compute:
        forward = mx.compile(lambda tokens: compute(tokens, None))
        block = _seconds(lambda: [mx.eval(forward(batch.tokens[:, :-1])) for batch in batches]) / positions / stop
    hidden = mx.zeros((1, positions // len(batches), int(inputs.base.settings["hidden_size"])))
    head_only = mx.compile(lambda x: _head(model, x))
    head = _seconds(lambda: mx.eval(head_only(hidden))) / hidden.shape[1]
    return (2 * n * block * positions + 2 * head * targets) / targets


def _head(model: Any, hidden: mx.array) -> mx.array:
    """Norm and head by themselves, of a Qwen2 such as build_model makes."""
    normed = model.model.norm(hidden)
    return model.model.embed_tokens.as_linear(normed) if model.args.tie_word_embeddings else model.lm_head(normed)


def _seconds(action: Callable[[], object]) -> float:
    action()  # compiles
    spent = []
    for _ in range(5):
        start = time.perf_counter()
        action()
        spent.append(time.perf_counter() - start)
    return statistics.median(spent)


def _config(folder: Path, n: int) -> Config:
    overrides = [
        f"model.path={folder / 'model'}",
        f"data.path={folder / 'data'}",
        f"train.iters={EPOCHS * ROWS // BATCH}",
        f"train.batch_size={BATCH}",
        f"train.steps_per_report={ROWS // BATCH}",
        "train.steps_per_eval=1000000",
        "train.save_every=1000000",
        "train.valid_rows=4",
        "train.max_seq_length=256",
        f"lora.num_layers={n}",
        "lora.keys=[q_proj,v_proj,gate_proj,up_proj,down_proj]",
    ]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = from_hydra(compose("config", overrides), Config)
    return dataclasses.replace(config, name="step")


if __name__ == "__main__":
    main(prog_name="python -m benchmarks.step")
