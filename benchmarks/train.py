"""One run of ours against one of mlx_lm.lora, on the same model, data and settings: python -m benchmarks.train

Whole processes, as a user runs them, in turn; medians of several pairs. Ours tracks in MLflow, keeps
checkpoints and validates before the first update as well. Both get OpenBLAS where it is installed.
"""

import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import click
import yaml

from benchmarks.model import build_model, write_data
from harness.models import blas

ITERS, BATCH, LAYERS, REPORT, EVAL, LONGEST = 120, 4, 8, 40, 60, 256


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
        write_data(folder / "data", rows=200, valid_rows=40, median=90, longest=LONGEST)
        sides = {"mlx_lm.lora": _mlx_lm, "harness.train": _harness}
        for run in sides.values():  # once unmeasured: MLX keeps its compiled CPU kernels on disk, ours its database
            run(folder, ITERS // 6)
        timings: dict[str, list[Timing]] = {name: [] for name in sides}
        for pair in range(pairs):
            for name, run in sides.items():
                timings[name].append(run(folder, ITERS))
                print(f"pair {pair + 1}: {name} {timings[name][-1].whole:.1f} s", file=sys.stderr)
    _print(timings, f"{blocks} blocks of width {width}, last {LAYERS} adapted, vocabulary {16 * width}, f32")


def _harness(folder: Path, iters: int) -> Timing:
    overrides = [
        f"model.path={folder / 'model'}",
        f"data.path={folder / 'data'}",
        f"tracking.uri=sqlite:///{folder / 'tracking' / 'mlflow.db'}",
        f"train.iters={iters}",
        f"train.batch_size={BATCH}",
        f"train.max_seq_length={LONGEST}",
        f"train.steps_per_report={REPORT}",
        f"train.steps_per_eval={EVAL}",
        f"train.save_every={EVAL}",
        f"lora.num_layers={LAYERS}",
        "experiment=mlx-example",
        "train.valid_rows=null",
        "generate.prompts=[]",
    ]
    whole, out = _timed([sys.executable, "-m", "harness.train", *overrides], {})
    report = json.loads((folder / "tracking" / "runs" / out.strip() / "report.json").read_text("utf-8"))
    seconds = sum(window["seconds"] for window in report["training"])
    return Timing(whole, seconds / sum(window["targets"] for window in report["training"]))


def _mlx_lm(folder: Path, iters: int) -> Timing:
    settings = {
        "model": str(folder / "model"),
        "data": str(folder / "data"),
        "train": True,
        "iters": iters,
        "batch_size": BATCH,
        "num_layers": LAYERS,
        "val_batches": -1,
        "steps_per_report": REPORT,
        "steps_per_eval": EVAL,
        "save_every": EVAL,
        "max_seq_length": LONGEST,
        "adapter_path": str(folder / "adapters"),
        "lora_parameters": {"rank": 8, "scale": 20.0, "dropout": 0.0},
    }
    (folder / "mlx_lm.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    environment = {"LD_PRELOAD": "libopenblas.so.0"} if sys.platform == "linux" and blas.load() else {}
    whole, out = _timed([sys.executable, "-m", "mlx_lm", "lora", "-c", str(folder / "mlx_lm.yaml")], environment)
    # its lines: iteration, loss and arrow, tokens a second, thousands of tokens so far
    plain = re.sub(r"\x1b\[[\d;]*m", "", out)
    windows = re.findall(r"^ +\d+ +[\d.]+ [▼▲] +([\d,]+) +([\d.]+)k", plain, re.MULTILINE)
    seconds = tokens = 0.0
    for speed, thousands in windows:
        seconds += (float(thousands) * 1000 - tokens) / float(speed.replace(",", ""))
        tokens = float(thousands) * 1000
    return Timing(whole, seconds / tokens if tokens else float("nan"))


def _timed(command: list[str], environment: dict[str, str]) -> tuple[float, str]:
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | environment | {"COLUMNS": "120"})
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr}")
    return time.perf_counter() - start, done.stdout


def _print(timings: dict[str, list[Timing]], what: str) -> None:
    print(f"{what}; {ITERS} updates of batch {BATCH}; {platform.machine()}, {os.cpu_count()} cores; {blas.describe()}")
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
