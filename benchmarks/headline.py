"""Twelve configurations: how long until the best is trained and known? python -m benchmarks.headline

By twelve processes of mlx_lm.lora, and by one sweep of ours that prunes.

Two ranks, two depths, three rates; the same updates, batch size, validations and checkpoints, whole processes as users
run them, on one machine one after the other. The best of twelve stock runs is known when the last has ended; ours when
the sweep's command has. That what ours chooses is one of the best is checked on the stock runs themselves: their
adapters are scored by our evaluator, and what other seeds of ours change says which difference is noise.
"""

import itertools
import os
import platform
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from benchmarks.model import build_model, write_conversations
from benchmarks.sides import Settings, forget_trunk, reports, run_harness, run_mlx_lm
from harness.config.schema import ModelConfig
from harness.data.dataset import load_split
from harness.machine import blas
from harness.models.adapter import loaded
from harness.models.adapter_reading import read_adapter
from harness.models.base import open_base
from harness.multirun.repeats import noise_floor
from harness.tuning.batches import fixed_batches
from harness.tuning.cut import Tail
from harness.tuning.evaluate import Evaluator

# what is likely best comes first: what follows is pruned by it
RANKS, RATES, ROWS, VALIDATIONS = (4, 16), (3e-3, 3e-4, 1e-5), 48, 10
PRUNING = ["sweep.pruner=halving"]


@dataclass(frozen=True, order=True)
class Combination:
    rank: int
    layers: int
    rate: float

    def of(self, settings: Settings) -> Settings:
        return replace(settings, rank=self.rank, num_layers=self.layers, learning_rate=self.rate)

    def adapters(self, folder: Path) -> Path:
        return folder / "theirs" / f"{self.rank}-{self.layers}-{self.rate}"


@dataclass(frozen=True)
class Chosen:
    """What the sweep ended with. `loss`: of its best checkpoint; `share`: of all updates, what was trained."""

    combination: Combination
    loss: float
    share: float


@click.command()
@click.option("--width", default=192, show_default=True)
@click.option("--blocks", default=24, show_default=True)
@click.option("--depths", default="4,8", show_default=True, help="Two numbers of last blocks that are adapted.")
@click.option("--iters", default=60, show_default=True)
def main(width: int, blocks: int, depths: str, iters: int) -> None:
    """Print seconds of both sides in whole, their ratio, and whether what ours chose is one of the best."""
    settings = Settings(iters=iters, report=iters, evaluate=max(iters // VALIDATIONS, 1), mask_prompt=True)
    adapted = [int(depth) for depth in depths.split(",")]
    combinations = [Combination(*each) for each in itertools.product(RANKS, adapted, RATES)]
    vocabulary = max(16 * width, 2048)
    print(f"{blocks} blocks of width {width}, vocabulary {vocabulary}, f32, the last {depths} adapted")
    print(f"{ROWS} rows, {iters} updates of batch {settings.batch_size}, {len(combinations)} configurations")
    print(f"{platform.machine()}, {os.cpu_count()} cores; {blas.load().words}", flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        build_model(folder / "model", width=width, blocks=blocks, vocabulary=vocabulary)
        write_conversations(folder / "data", rows=ROWS, valid_rows=16)
        # unmeasured: MLX keeps its compiled CPU kernels on disk, ours its database
        warm = replace(settings, iters=1, num_layers=1)
        run_mlx_lm(folder, warm, folder / "warm")
        run_harness(warm.overrides(folder))
        ours, chosen = _ours(folder, settings, adapted, len(combinations))
        theirs = [_mlx_lm(folder, settings, combination) for combination in combinations]
        _print_times(theirs, ours, chosen)
        _print_choice(folder, settings, combinations, chosen)


def _mlx_lm(folder: Path, settings: Settings, combination: Combination) -> float:
    done = run_mlx_lm(folder, combination.of(settings), combination.adapters(folder))
    print(f"mlx_lm.lora {combination}: {done.seconds:.1f} s", file=sys.stderr)
    return done.seconds


def _ours(folder: Path, settings: Settings, adapted: list[int], trials: int) -> tuple[float, Chosen]:
    """Seconds of the whole sweep, what the frozen blocks make of the rows included; the rate varies fastest."""
    forget_trunk(folder)
    axes = {"lora.rank": RANKS, "lora.num_layers": sorted(adapted, reverse=True), "train.learning_rate": RATES}
    varied = [f"{name}={','.join(str(value) for value in values)}" for name, values in axes.items()]
    done = run_harness(["-m", *_fixed(folder, settings, *axes), *varied, *PRUNING, "name=headline"])
    print(f"one sweep: {done.seconds:.1f} s", file=sys.stderr)
    new = reports(folder)[-trials:]
    assert len(new) == trials, done.out
    return done.seconds, _chosen(new, settings)


def _fixed(folder: Path, settings: Settings, *varied: str) -> list[str]:
    return [word for word in settings.overrides(folder) if word.split("=")[0] not in varied]


def _chosen(new: list[dict[str, Any]], settings: Settings) -> Chosen:
    whole = [report for report in new if report["validations"][-1]["step"] == settings.iters]
    best = min(whole, key=_loss)
    lora, updates = best["config"]["lora"], sum(report["validations"][-1]["step"] for report in new)
    combination = Combination(lora["rank"], lora["num_layers"], best["config"]["train"]["learning_rate"])
    return Chosen(combination, _loss(best), updates / (settings.iters * len(new)))


def _loss(report: dict[str, Any]) -> float:
    return min(float(score["loss"]) for score in report["validations"] if score["step"])


def _print_times(theirs: list[float], ours: float, chosen: Chosen) -> None:
    print(f"{f'{len(theirs)} times mlx_lm.lora':24} {sum(theirs):8.1f} s")
    print(f"{'one sweep that prunes':24} {ours:8.1f} s   ({chosen.share:.0%} of the updates)")
    print(f"{'ratio':24} {sum(theirs) / ours:8.2f}", flush=True)


def _print_choice(folder: Path, settings: Settings, combinations: list[Combination], chosen: Chosen) -> None:
    one = chosen.combination.of(settings)
    run_harness(["-m", *_fixed(folder, one, "train.seed"), "train.seed=1,2", "name=seeds"])
    floor = noise_floor([[chosen.loss, *(_loss(report) for report in reports(folder)[-2:])]])
    losses = {combination: _score(folder, settings, combination) for combination in combinations}
    best, of_chosen = min(losses.values()), losses[chosen.combination]
    for combination, loss in sorted(losses.items(), key=lambda each: each[1]):
        mark = "  ← ours chose" if combination == chosen.combination else ""
        print(f"  rank {combination.rank:2}, {combination.layers} blocks, rate {combination.rate:g}: {loss:.4f}{mark}")
    held = "within" if of_chosen - best <= floor else "NOT within"
    print(
        f"the stock run of what ours chose is {of_chosen - best:.4f} above the best stock run, {held} the noise of ",
        end="",
    )
    print(f"{floor:.4f}; ours ended at {chosen.loss:.4f}")


def _score(folder: Path, settings: Settings, combination: Combination) -> float:
    """The loss of mlx-lm's last adapter, by our evaluator on our rows."""
    base = open_base(ModelConfig(str(folder / "model"), None))
    split = load_split(
        folder / "data", "valid", base.tokenizer, labels=None, max_seq_length=settings.longest, mask_prompt=True
    )
    with loaded(base.model, read_adapter(combination.adapters(folder))):
        return Evaluator(Tail(base.model, 0), fixed_batches(split.rows, settings.batch_size)).score(settings.iters).loss


if __name__ == "__main__":
    main(prog_name="python -m benchmarks.headline")
