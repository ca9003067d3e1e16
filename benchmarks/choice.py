"""The luck of the best of many checkpoints on the same validation rows: python -m benchmarks.choice

Simulated trials with validations each; a row's loss is its own difficulty (heavy tails), what is true of the
checkpoint, what the trial and the checkpoint happen to make of this row, and noise. Truth is known, so that what is
reported can be compared with what the chosen checkpoint is worth on all rows that there could be.
"""

import itertools
from dataclasses import dataclass

import click
import numpy as np

from harness.statistics.choice import left_out_loss, may_be_best

CHECKPOINTS = 10


@dataclass
class World:
    """`sums`: losses of each row, [trial × checkpoint, row]; `truth`: mean loss on all rows, [trial × checkpoint]."""

    sums: np.ndarray
    targets: np.ndarray
    truth: np.ndarray


def world(rng: np.random.Generator, *, trials: int, rows: int, spread: float) -> World:
    """`spread`: standard deviation of what trials are truly worth, in nats a token; 0: all checkpoints are equal."""
    targets = np.maximum(5, np.round(np.exp(rng.normal(4, 0.6, rows))))
    difficulty = rng.normal(2.5, 0.5, rows) + 0.2 * rng.standard_t(4, rows)
    at = rng.uniform(0.3, 1.2, trials)[:, None]  # where in its course a trial is lowest
    course = 4 * (np.arange(1, CHECKPOINTS + 1) / CHECKPOINTS - at) ** 2
    truth = rng.normal(0, spread, trials)[:, None] + spread * course
    of_trial = 0.05 * rng.normal(size=(trials, 1, rows))
    of_checkpoint = 0.03 * rng.normal(size=(trials, CHECKPOINTS, rows))
    for number in range(1, CHECKPOINTS):  # neighbours are alike
        of_checkpoint[:, number] = 0.8 * of_checkpoint[:, number - 1] + 0.6 * of_checkpoint[:, number]
    moved = np.exp(rng.normal(0, 0.3, rows)) * (of_trial + of_checkpoint)
    noise = 0.05 * rng.normal(size=moved.shape) / np.sqrt(targets)
    losses = difficulty + truth[:, :, None] + moved + noise
    known = (difficulty * targets).sum() / targets.sum()  # what the drawn rows happen to be is nobody's luck
    return World((losses * targets).reshape(-1, rows), targets, (truth + known).ravel())


@click.command()
@click.option("--worlds", default=200, show_default=True)
def main(worlds: int) -> None:
    """Print, in thousandths of a nat, the mean error of the lowest loss and of what is shown beside it; how often the
    best trial was not marked as one that may be; and how many were marked."""
    print(f"{worlds} worlds, {CHECKPOINTS} checkpoints a trial; thousandths of a nat a token\n")
    print(
        f"{'trials':>6} {'rows':>5} {'spread':>7} {'lowest':>14} {'left out':>14} {'best unmarked':>14} {'marked':>7}"
    )
    for trials, rows, spread in itertools.product((1, 5, 20), (20, 100, 400), (0.0, 0.005, 0.02)):
        found = np.array([_tried(seed, trials, rows, spread) for seed in range(worlds)])
        mean, error = 1000 * found.mean(axis=0), 1000 * found.std(axis=0, ddof=1) / np.sqrt(worlds)
        said = [f"{mean[column]:+.1f} ± {error[column]:.1f}" for column in (0, 1)]
        print(
            f"{trials:6} {rows:5} {1000 * spread:7.0f} {said[0]:>14} {said[1]:>14} {mean[2] / 1000:14.3f} "
            f"{mean[3] / 1000:7.1f}",
            flush=True,
        )


def _tried(seed: int, trials: int, rows: int, spread: float) -> tuple[float, float, bool, int]:
    """Errors of the lowest loss and of the left-out one; whether the best trial was unmarked; trials marked."""
    found = world(np.random.default_rng([seed, trials, rows]), trials=trials, rows=rows, spread=spread)
    losses = found.sums.sum(axis=1) / found.targets.sum()
    chosen = int(losses.argmin())
    left = left_out_loss(found.sums, found.targets)
    assert left is not None
    groups = np.repeat(np.arange(trials), CHECKPOINTS)
    marked = may_be_best(found.sums, groups)
    own = losses.reshape(trials, -1).argmin(axis=1) + CHECKPOINTS * np.arange(trials)  # each trial's checkpoint
    best = int(found.truth[own].argmin())
    return losses[chosen] - found.truth[chosen], left - found.truth[chosen], not marked[best], int(marked.sum())


if __name__ == "__main__":
    main(prog_name="python -m benchmarks.choice")
