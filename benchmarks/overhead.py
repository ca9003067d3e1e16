"""What a run and a trial take beside their steps, and what the shortest run takes: python -m benchmarks.overhead

Start-up, composing, reading data and base, comparing with the whole model, tracking, checkpoints, pictures. Whole
processes; what is spent in updates, in validations and in computing the frozen blocks is taken off. For a trial
within a sweep: what each of ten more trials adds.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import click

from benchmarks.model import build_model, write_conversations
from benchmarks.sides import Settings, forget_trunk, reports, run_harness
from harness.machine import blas


@click.command()
@click.option("--width", default=256, show_default=True)
@click.option("--blocks", default=24, show_default=True)
@click.option("--adapted", default=4, show_default=True)
@click.option("--iters", default=200, show_default=True)
def main(width: int, blocks: int, adapted: int, iters: int) -> None:
    """Print seconds beside the steps, of one run and of a trial; the seconds and memory of --help and of one update."""
    settings = Settings(iters=iters, num_layers=adapted, evaluate=iters // 2, mask_prompt=True)
    print(f"{blocks} blocks of width {width}, last {adapted} adapted, vocabulary {16 * width}, f32")
    print(blas.load().words)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        build_model(folder / "model", width=width, blocks=blocks, vocabulary=16 * width)
        write_conversations(folder / "data", rows=100, valid_rows=20)
        words = settings.overrides(folder)
        run_harness([*words, "train.iters=1"])  # unmeasured: makes the database
        print(_shortest(words))
        forget_trunk(folder)
        whole = run_harness(words).seconds
        steps, validations, trunk = _parts(folder, 1)
        beside = whole - steps - validations - trunk
        print(f"one run of {iters} updates: {whole:.1f} s, {steps:.1f} in updates, {validations:.1f} in validations,")
        print(
            f"{trunk:.1f} computing the frozen blocks, {beside:.1f} beside: {beside / whole:.1%}   (aim: at most 5 %)"
        )
        short = [*(word for word in words if not word.startswith("lora.scale=")), "train.iters=10"]
        more = _beside(folder, short, 12) - _beside(folder, short, 2)
        print(f"a trial within a sweep: {more / 10:.2f} s beside its steps   (aim: at most 0.50)")


def _shortest(words: list[str]) -> str:
    """A run of one update whose base, data and database were used before; medians of three, taken in turn."""
    helps, runs = [], []
    for _ in range(3):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "harness.train", "--help"], check=True, stdout=subprocess.DEVNULL)
        helps.append(time.perf_counter() - start)
        runs.append(run_harness([*words, "train.iters=1"]))
    seconds, peak = median(run.seconds for run in runs), median(run.peak_gb for run in runs)
    return (
        f"one update: {seconds:.2f} s in whole (aim: at most 6), the process held {peak:.2f} GB; "
        f"--help {median(helps):.2f} s (aim: at most 0.5)"
    )


def _beside(folder: Path, words: list[str], trials: int) -> float:
    scales = ",".join(str(float(number + 1)) for number in range(trials))
    whole = run_harness(["-m", *words, f"lora.scale={scales}"]).seconds
    return whole - sum(_parts(folder, trials))


def _parts(folder: Path, runs: int) -> tuple[float, float, float]:
    """Seconds of the newest runs in updates, in validations and in computing the frozen blocks."""
    newest = reports(folder)[-runs:]
    steps = sum(window["seconds"] for report in newest for window in report["training"])
    validations = sum(score["seconds"] for report in newest for score in report["validations"])
    return steps, validations, sum(report["totals"]["trunk/seconds"] for report in newest)


if __name__ == "__main__":
    main(prog_name="python -m benchmarks.overhead")
