"""Twelve runs by twelve processes of mlx_lm.lora against one sweep of ours: python -m benchmarks.sweep

Three ranks, two scales, two depths; the same updates, batch size, validations and checkpoints, no pruning, whole
processes. The adapters of both sides are then scored by our evaluator on the same rows; ours are trained with
three seeds, whose range says which difference means something.
"""

import itertools
import os
import platform
import statistics
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import click

from benchmarks.model import build_model, write_conversations
from benchmarks.sides import Settings, forget_trunk, reports, run_harness, run_mlx_lm
from harness.config.schema import ModelConfig
from harness.data.dataset import load_split
from harness.machine import blas
from harness.models.adapter import loaded
from harness.models.adapter_reading import read_adapter
from harness.models.base import Base, open_base
from harness.tuning.batches import fixed_batches
from harness.tuning.cut import Tail
from harness.tuning.evaluate import Evaluator

RANKS, SCALES, ROWS = (4, 8, 16), (10.0, 20.0), 40
# rank, scale, number of layers
Combination = tuple[int, float, int]


@click.command()
@click.option("--width", default=256, show_default=True)
@click.option("--blocks", default=24, show_default=True)
@click.option("--depths", default="4,8", show_default=True, help="Two numbers of last blocks that are adapted.")
@click.option("--iters", default=40, show_default=True)
@click.option("--seeds", default=3, show_default=True, help="Sweeps of ours.")
def main(width: int, blocks: int, depths: str, iters: int, seeds: int) -> None:
    """Print seconds of both sides in whole, their ratio, and both sides' losses for each of the twelve."""
    settings = Settings(iters=iters, learning_rate=1e-2, mask_prompt=True)
    adapted = [int(depth) for depth in depths.split(",")]
    combinations = list(itertools.product(RANKS, SCALES, adapted))
    print(f"{blocks} blocks of width {width}, vocabulary {16 * width}, f32; {ROWS} rows, {iters} updates of batch 4")
    print(f"{platform.machine()}, {os.cpu_count()} cores; {blas.load().words}")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        build_model(folder / "model", width=width, blocks=blocks, vocabulary=16 * width)
        write_conversations(folder / "data", rows=ROWS, valid_rows=16)
        warm = replace(
            settings, iters=1, num_layers=1
        )  # unmeasured: MLX keeps its compiled CPU kernels on disk, ours its database
        run_mlx_lm(folder, warm, folder / "warm")
        run_harness(warm.overrides(folder))
        theirs = [_mlx_lm(folder, settings, combination) for combination in combinations]
        ours = [_sweep(folder, settings, seed, adapted, len(combinations)) for seed in range(seeds)]
        _print_times(sum(theirs), ours)
        _print_losses(folder, settings, combinations, seeds)


def _mlx_lm(folder: Path, settings: Settings, combination: Combination) -> float:
    rank, scale, layers = combination
    one = replace(settings, rank=rank, scale=scale, num_layers=layers)
    done = run_mlx_lm(folder, one, _theirs(folder, combination))
    print(f"mlx_lm.lora {combination}: {done.seconds:.1f} s", file=sys.stderr)
    return done.seconds


def _sweep(folder: Path, settings: Settings, seed: int, depths: list[int], trials: int) -> float:
    """Seconds of the whole sweep, what the frozen blocks make of the rows included."""
    forget_trunk(folder)
    axes = {"lora.rank": RANKS, "lora.scale": SCALES, "lora.num_layers": depths}
    varied = [f"{name}={','.join(str(value) for value in values)}" for name, values in axes.items()]
    fixed = [word for word in settings.overrides(folder) if word.split("=")[0] not in axes]
    done = run_harness(["-m", *fixed, *varied, f"name=seed{seed}", f"train.seed={seed}"])
    new = reports(folder)[-trials:]
    assert len(new) == trials, done.out
    steps = sum(window["seconds"] for report in new for window in report["training"])
    print(f"sweep with seed {seed}: {done.seconds:.1f} s, of it {steps:.1f} s in steps", file=sys.stderr)
    return done.seconds


def _theirs(folder: Path, combination: Combination) -> Path:
    return folder / "theirs" / "-".join(str(value) for value in combination)


def _print_times(theirs: float, ours: list[float]) -> None:
    seconds = statistics.median(ours)
    print(f"{'12 times mlx_lm.lora':24} {theirs:8.1f} s")
    print(f"{'one sweep':24} {seconds:8.1f} s   (of {', '.join(f'{each:.1f}' for each in ours)})")
    print(f"{'ratio':24} {theirs / seconds:8.2f}     (at least 5.00 is the aim)")


def _print_losses(folder: Path, settings: Settings, combinations: list[Combination], seeds: int) -> None:
    base = open_base(ModelConfig(str(folder / "model"), None))
    ours: dict[Combination, list[float]] = {combination: [] for combination in combinations}
    for report in reports(folder)[-seeds * len(combinations) :]:
        lora = report["config"]["lora"]
        last = report["validations"][-1]
        ours[lora["rank"], lora["scale"], lora["num_layers"]].append(last["loss"])
    print(f"{'rank, scale, layers':24} {'mlx_lm.lora':>12} {'ours, by seed':>28} {'away from the mean':>20}")
    for combination in combinations:
        theirs, losses = _score(folder, settings, base, combination), sorted(ours[combination])
        spread = max(losses) - min(losses)
        shown = " ".join(f"{loss:.4f}" for loss in losses)
        away = abs(theirs - statistics.mean(losses))
        print(f"{combination!s:24} {theirs:12.4f} {shown:>28} {away:10.4f} of {spread:.4f}")


def _score(folder: Path, settings: Settings, base: Base, combination: Combination) -> float:
    """The loss of mlx-lm's adapter, by our evaluator on our rows."""
    adapter = read_adapter(_theirs(folder, combination))
    split = load_split(
        folder / "data", "valid", base.tokenizer, labels=None, max_seq_length=settings.longest, mask_prompt=True
    )
    with loaded(base.model, adapter):
        return Evaluator(Tail(base.model, 0), fixed_batches(split.rows, settings.batch_size)).score(settings.iters).loss


if __name__ == "__main__":
    main(prog_name="python -m benchmarks.sweep")
