"""Predicted memory against measured, phase by phase: python -m benchmarks.prediction

Each line is a model, settings and a batch of its own; what is measured is MLX's peak, of the same loop and
decoder that a run uses.
"""

import tempfile
from pathlib import Path
from typing import Any

import click
import mlx.core as mx
from hydra import compose, initialize_config_dir

from benchmarks.model import build_model, write_data
from harness.config.load import from_hydra
from harness.config.paths import CONF
from harness.config.schema import Config, TrackingConfig
from harness.console.progress import Display
from harness.machine.device import begin_phase, memory_use
from harness.models.adapter import attached
from harness.run.inputs import gather_inputs
from harness.run.preflight import plan_memory
from harness.run.samples import plan_samples
from harness.run.session import Session
from harness.run.shortcuts import planned_cut, prepare_engine
from harness.sampling.samples import bare_base
from harness.sampling.write import write
from harness.tracking.store import open_store
from harness.tuning.evaluate import Score
from harness.tuning.loop import train
from harness.tuning.memory import shape_of
from harness.tuning.meter import Window
from harness.tuning.trunk_cache import Trunks

# model: width, blocks, vocabulary, type; overrides
CASES: list[tuple[tuple[int, int, int, Any], list[str]]] = [
    ((256, 16, 4096, mx.float32), ["lora.num_layers=8", "train.trunk_cache=false", "train.head_on_targets=false"]),
    ((256, 16, 4096, mx.float32), ["lora.num_layers=8", "train.trunk_cache=false"]),
    ((256, 16, 4096, mx.float32), ["lora.num_layers=8"]),
    ((256, 16, 4096, mx.float32), ["lora.num_layers=4", "lora.rank=64"]),
    ((256, 16, 4096, mx.float32), ["lora.num_layers=8", "train.grad_checkpoint=true"]),
    ((256, 16, 4096, mx.float32), ["lora.num_layers=8", "lora.dropout=0.1", "train.batch_size=2"]),
    ((256, 16, 4096, mx.float32), ["lora.num_layers=8", "lora.keys=[q_proj,v_proj]"]),
    ((256, 24, 4096, mx.float32), ["lora.num_layers=4"]),
    ((256, 16, 16384, mx.float32), ["lora.num_layers=8"]),
    ((512, 12, 8192, mx.float32), ["lora.num_layers=6"]),
    ((128, 12, 2048, mx.float32), ["lora.num_layers=12", "lora.fine_tune_type=dora"]),
    ((128, 12, 2048, mx.bfloat16), ["lora.num_layers=6", "train.batch_size=2"]),
]


class Silent:
    """A watcher that does nothing."""

    def on_update(self, step: int, loss: float) -> None: ...
    def on_window(self, window: Window) -> None: ...
    def on_validating(self, done: int, total: int) -> None: ...
    def on_rows(self, rows: object) -> None: ...
    def on_score(self, score: Score, state: object, *, best: bool) -> None: ...
    def on_interrupt(self, state: object) -> None: ...


@click.command()
def main() -> None:
    """Print predicted and measured GB of both phases, and their ratio."""
    print(f"{'model and settings':100} {'training':>24} {'sampling':>24}")
    for (width, blocks, vocabulary, kind), overrides in CASES:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            build_model(folder / "model", width=width, blocks=blocks, vocabulary=vocabulary, kind=kind)
            write_data(folder / "data", rows=24, valid_rows=8, median=160, longest=256)
            results = _measure(folder, overrides)
        label = (
            f"{blocks} blocks of {width}, vocabulary {vocabulary}, {str(kind).split('.')[-1]}, {' '.join(overrides)}"
        )
        shown = [f"{p:.3f} / {m:.3f} = {p / m:4.2f}" for p, m in results]
        print(f"{label:100} {shown[0]:>24} {shown[1]:>24}", flush=True)


def _measure(folder: Path, overrides: list[str]) -> list[tuple[float, float]]:
    """Predicted and measured GB of training, then of sampling."""
    shared = [f"model.path={folder / 'model'}", f"data.path={folder / 'data'}", "train.iters=6", "train.save_every=6"]
    shared += ["train.max_seq_length=256", "generate.max_tokens=64"]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = from_hydra(compose("config", [*shared, *overrides]), Config)
    begin_phase()
    session = Session(
        open_store(TrackingConfig(uri=f"sqlite:///{folder / 'mlflow.db'}")), Display(), Trunks(folder / "trunks")
    )
    inputs = gather_inputs(config, session)
    model = inputs.base.model
    with attached(model, inputs.spec, seed=0):
        shape = shape_of(model, inputs.spec, inputs.base.settings)
        cut = planned_cut(config, inputs, shape, free_disk=session.trunks.free_disk())
        phases = plan_memory(config, inputs, shape, cut[0]).phases
        engine = prepare_engine(config, inputs, cut, session)
        inputs.base.materialize(engine.at)
        begin_phase()
        training = train(model, inputs.train, inputs.valid, config.train, Silent(), engine=engine).peak_gb
        begin_phase()
        planned = plan_samples(config, inputs.base.tokenizer, bare_base(inputs.base.path))
        list(write(model, inputs.base.tokenizer, planned, config.generate))
        sampling = memory_use().peak
    return [(phases["training"].total / 1e9, training), (phases["sampling"].total / 1e9, sampling)]


if __name__ == "__main__":
    main(prog_name="python -m benchmarks.prediction")
