"""Peak memory of a run of ours against one of mlx_lm.lora: python -m benchmarks.memory

Whole processes with the same model, data and settings, a sixth of the blocks adapted. What MLX itself counts, and what
the process held at most, libraries included; ours phase by phase, texts written by the tuned model among them.
"""

import os
import platform
import tempfile
from pathlib import Path

import click

from benchmarks.model import build_model, write_conversations
from benchmarks.sides import Settings, reports, run_harness, run_mlx_lm
from harness.machine import blas


@click.command()
@click.option("--width", default=512, show_default=True)
@click.option("--blocks", default=24, show_default=True)
@click.option("--vocabulary", default=16384, show_default=True)
@click.option("--batch", default=4, show_default=True)
@click.option("--iters", default=20, show_default=True)
def main(width: int, blocks: int, vocabulary: int, batch: int, iters: int) -> None:
    """Print GB of both sides, and the ratio."""
    settings = Settings(iters=iters, batch_size=batch, num_layers=blocks // 6, mask_prompt=True)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        build_model(folder / "model", width=width, blocks=blocks, vocabulary=vocabulary)
        write_conversations(folder / "data", rows=iters * settings.batch_size, valid_rows=20)
        weights = (folder / "model" / "model.safetensors").stat().st_size / 1e9
        print(f"{blocks} blocks of width {width}, last {blocks // 6} adapted, vocabulary {vocabulary}, f32")
        print(f"weights {weights:.2f} GB; batch {settings.batch_size}; {platform.machine()}, {os.cpu_count()} cores")
        print(blas.load().words)
        theirs = run_mlx_lm(folder, settings, folder / "adapters")
        quiet = run_harness(settings.overrides(folder))
        writing = run_harness([*settings.overrides(folder)[:-1], "generate.prompts=[河]", "generate.max_tokens=32"])
        without, with_texts = reports(folder)[-2:]
    counted = without["totals"]
    ours = max(counted["memory/preparing_peak_gb"], counted["memory/peak_gb"])
    print(f"{'':40} {'mlx_lm.lora':>12} {'ours':>8} {'ratio':>6}")
    _line("MLX's counter, training", theirs.mlx_peak_gb, counted["memory/peak_gb"])
    _line("MLX's counter, whole process", theirs.mlx_peak_gb, ours)
    _line("the process", theirs.peak_gb, quiet.peak_gb)
    print("(the aim is at most 0.50)")
    phases = {name: with_texts["totals"][f"memory/{key}peak_gb"] for name, key in PHASES.items()}
    print("ours by phase, with a text written: " + ", ".join(f"{name} {gb:.3f}" for name, gb in phases.items()))
    print(f"the process with that: {writing.peak_gb:.3f} GB")


PHASES = {"preparing": "preparing_", "training": "", "writing": "sampling_"}


def _line(what: str, theirs: float, ours: float) -> None:
    print(f"{what:40} {theirs:12.3f} {ours:8.3f} {ours / theirs:6.2f}")


if __name__ == "__main__":
    main(prog_name="python -m benchmarks.memory")
