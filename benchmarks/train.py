"""One run of ours against one of mlx_lm.lora, on the same model, data and settings: python -m benchmarks.train

Whole processes, as a user runs them, in turn; medians of several pairs. Ours tracks in MLflow, keeps
checkpoints and validates before the first update as well. Both get the same OpenBLAS.
"""

import os
import platform
import re
import statistics
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import click

from benchmarks.model import build_model, write_data
from benchmarks.sides import Settings, forget_trunk, reports, run_harness, run_mlx_lm
from harness.machine import blas

SETTINGS = Settings(iters=120, report=40, evaluate=60)


@dataclass(frozen=True)
class Timing:
    """Seconds of the whole process, and of training alone for a supervised token."""

    whole: float
    per_token: float


@click.command()
@click.option("--pairs", default=3, show_default=True, help="How often each side runs.")
@click.option("--width", default=256, show_default=True)
@click.option("--blocks", default=16, show_default=True)
def main(pairs: int, width: int, blocks: int) -> None:
    """Print the ratios of whole time and of time for a supervised token: mlx_lm.lora over ours."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        build_model(folder / "model", width=width, blocks=blocks, vocabulary=16 * width)
        write_data(folder / "data", rows=200, valid_rows=40, median=90, longest=SETTINGS.longest)
        sides = {"mlx_lm.lora": _mlx_lm, "harness.train": _harness}
        for run in sides.values():  # once unmeasured: MLX keeps its compiled CPU kernels on disk, ours its database
            run(folder, replace(SETTINGS, iters=SETTINGS.iters // 6))
        timings: dict[str, list[Timing]] = {name: [] for name in sides}
        for pair in range(pairs):
            for name, run in sides.items():
                timings[name].append(run(folder, SETTINGS))
                print(f"pair {pair + 1}: {name} {timings[name][-1].whole:.1f} s", file=sys.stderr)
    what = f"{blocks} blocks of width {width}, last {SETTINGS.num_layers} adapted, vocabulary {16 * width}, f32"
    _print(timings, what)


def _harness(folder: Path, settings: Settings) -> Timing:
    forget_trunk(folder)
    done = run_harness(settings.overrides(folder))
    training = reports(folder)[-1]["training"]
    seconds = sum(window["seconds"] for window in training)
    return Timing(done.seconds, seconds / sum(window["targets"] for window in training))


def _mlx_lm(folder: Path, settings: Settings) -> Timing:
    done = run_mlx_lm(folder, settings, folder / "adapters")
    # its lines: iteration, loss and arrow, tokens a second, thousands of tokens so far
    plain = re.sub(r"\x1b\[[\d;]*m", "", done.out)
    windows = re.findall(r"^ +\d+ +[\d.]+ [▼▲] +([\d,]+) +([\d.]+)k", plain, re.MULTILINE)
    seconds = tokens = 0.0
    for speed, thousands in windows:
        seconds += (float(thousands) * 1000 - tokens) / float(speed.replace(",", ""))
        tokens = float(thousands) * 1000
    return Timing(done.seconds, seconds / tokens if tokens else float("nan"))


def _print(timings: dict[str, list[Timing]], what: str) -> None:
    work = f"{SETTINGS.iters} updates of batch {SETTINGS.batch_size}"
    print(f"{what}; {work}; {platform.machine()}, {os.cpu_count()} cores; {blas.load().words}")
    print(f"{'':14} {'whole s':>9} {'ms a supervised token':>22}")
    medians = {}
    for name, runs in timings.items():
        whole = statistics.median(run.whole for run in runs)
        per_token = statistics.median(run.per_token for run in runs)
        medians[name] = (whole, per_token)
        print(f"{name:14} {whole:9.1f} {per_token * 1000:22.3f}")
    (their_whole, their_token), (our_whole, our_token) = medians["mlx_lm.lora"], medians["harness.train"]
    ratios = (their_whole / our_whole, their_token / our_token)
    print(f"{'ratio':14} {ratios[0]:9.2f} {ratios[1]:22.2f}   (at least 1.00 is the aim)")


if __name__ == "__main__":
    main(prog_name="python -m benchmarks.train")
