"""How much of a grid's compute each pruner spends, and what it finds for it: python -m benchmarks.search

On recorded learning curves: 60 runs of the shipped poems on builtin:small, and the best three again with four other
seeds, which say how much of a difference is noise. `--record` trains those that benchmarks/curves.json lacks (some 20
minutes for all); without it the file is replayed through the harness's own study, in random orders.
"""

import dataclasses
import itertools
import json
import random
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import optuna
import yaml

from harness.config.axes import Axis, Space
from harness.config.paths import CONF
from harness.config.schema import SweepConfig
from harness.files import write_json
from harness.multirun.repeats import noise_floor
from harness.sweeping.storage import Studies
from harness.sweeping.study import Pace, open_study
from harness.sweeping.trial import Trial, TrialEnd

CURVES = Path(__file__).with_name("curves.json")
RANKS, RATES, DEPTHS = (2, 4, 8, 16), (1e-4, 3e-4, 1e-3, 3e-3, 1e-2), (2, 4, 6)
UPDATES, EVERY, SEEDS, REPEATED = 100, 10, 4, 3

# update -> valid/loss
Curve = dict[int, float]


@click.command()
@click.option("--record", is_flag=True, help="Train the grid anew first.")
@click.option("--orders", default=40, show_default=True, help="Random orders of the grid, for each pruner.")
def main(record: bool, orders: int) -> None:
    """Print for each pruner the median share of the grid's updates, and how often it ends with one of the best."""
    if record:
        _record()
    recorded = json.loads(CURVES.read_text("utf-8"))
    curves = {name: {int(step): loss for step, loss in curve.items()} for name, curve in recorded["curves"].items()}
    finals = {name: min(curve.values()) for name, curve in curves.items()}
    groups = [[finals[name], *again] for name, again in recorded["repeats"].items()]
    floor, best = noise_floor(groups), min(finals.values())
    good = {name for name, value in finals.items() if value <= best + floor}
    print(f"{len(curves)} curves of {UPDATES} updates; best {best:.4f}, noise {floor:.4f}, {len(good)} within it")
    print("pruner                                    share of updates   share until one is found   ends within noise")
    for label, search in _searches():
        runs = [_replay(curves, good, search, order) for order in range(orders)]
        shares, firsts, found = zip(*runs, strict=True)
        print(
            f"{label:40}  {statistics.median(shares):16.3f}   {statistics.median(firsts):24.3f}   "
            f"{sum(found):8} of {orders}"
        )


def _searches() -> list[tuple[str, dict[str, Any]]]:
    grid: list[tuple[str, dict[str, Any]]] = [
        ("none", {}),
        ("median", {"pruner": "median"}),
        ("median from the first validation", {"pruner": "median", "pruner_args": {"n_warmup_steps": 0}}),
        ("halving", {"pruner": "halving"}),
        ("hyperband", {"pruner": "hyperband"}),
        ("wilcoxon", {"pruner": "wilcoxon"}),
        ("patient", {"pruner": "patient"}),
    ]
    tpe = [
        (f"{label}, tpe, {trials} trials", search | {"trials": trials})
        for trials in (20, 30)
        for label, search in grid
        if label in ("none", "median", "halving", "hyperband")
    ]
    return grid + tpe


def _replay(curves: dict[str, Curve], good: set[str], search: dict[str, Any], order: int) -> tuple[float, float, bool]:
    """The share of the grid's updates that were spent, and that until the first good one was whole; whether the one
    that it would choose is good."""
    names = list(curves)
    random.Random(order).shuffle(names)
    usual = SweepConfig(**yaml.safe_load((CONF / "search" / "default.yaml").read_text("utf-8")))
    config = dataclasses.replace(usual, seed=order, **search)
    if config.trials is None:
        axes: list[Any] = [Axis("curve", [*names], names)]
    else:
        axes = [_axis("rank", RANKS), _axis("rate", RATES), _axis("depth", DEPTHS)]
    spent, first = 0, None
    whole: dict[str, float] = {}

    def objective(trial: Trial) -> TrialEnd:
        nonlocal spent, first
        params = trial.params
        name = str(params["curve"]) if "curve" in params else _name(params["rank"], params["rate"], params["depth"])
        curve, before = curves[name], 0
        for step, loss in curve.items():
            spent, before = spent + step - before, step
            if trial.report(step, loss) and step < UPDATES:
                return TrialEnd(loss, pruned=True)
        whole[name] = min(curve.values())
        if name in good and first is None:
            first = spent
        return TrialEnd(whole[name])

    study = open_study("replayed", _in_memory(), Space(axes, []), config, Pace(EVERY, UPDATES))
    study.run(objective)
    every = UPDATES * len(curves)
    chosen = min(whole, key=lambda name: whole[name])
    return spent / every, (first or every) / every, chosen in good


def _in_memory() -> Studies:
    from contextlib import nullcontext

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = optuna.storages.InMemoryStorage()
    return Studies(
        uri=lambda name: name,
        storage=lambda name: storage,
        alone=lambda name: nullcontext(),
        names=list,
        keep_intact_part=lambda name: None,
    )


def _axis(name: str, values: Sequence[float]) -> Axis:
    return Axis(name, [*values], list(map(str, values)))


def _name(rank: object, rate: object, depth: object) -> str:
    return f"rank={rank} rate={rate} depth={depth}"


def _record() -> None:
    from hydra import compose, initialize_config_dir
    from omegaconf import open_dict

    from harness.config.load import from_hydra
    from harness.config.schema import Config, TrackingConfig
    from harness.console.progress import Display
    from harness.run.context import RunHooks, RunPlace
    from harness.run.pipeline import train_run
    from harness.run.session import Session
    from harness.tracking.store import open_store

    def configured(rank: int, rate: float, depth: int, seed: int) -> Config:
        words = [
            f"lora.rank={rank}",
            f"train.learning_rate={rate}",
            f"lora.num_layers={depth}",
            f"train.seed={seed}",
        ]
        words += [
            f"train.iters={UPDATES}",
            f"train.steps_per_eval={EVERY}",
            "train.save_every=100",
            "generate.prompts=[]",
        ]
        with initialize_config_dir(str(CONF), version_base="1.3"):
            composed = compose("config", words)
        with open_dict(composed):
            composed.pop("hydra", None)
        return from_hydra(composed, Config)

    with tempfile.TemporaryDirectory() as folder:
        session = Session(open_store(TrackingConfig(uri=f"sqlite:///{folder}/mlflow.db")), Display())

        def curve(*settings: Any) -> Curve:
            losses: Curve = {}

            def report(step: int, loss: float) -> bool:
                losses[step] = round(loss, 5)
                return False

            train_run(configured(*settings), session, RunPlace(), RunHooks(report=report))
            return losses

        grid = list(itertools.product(RANKS, RATES, DEPTHS))
        kept = _kept(list(map(list, (RANKS, RATES, DEPTHS))))
        curves: dict[str, Any] = kept["curves"]
        repeats: dict[str, list[float]] = kept["repeats"]
        for each in grid:
            if _name(*each) not in curves:
                curves[_name(*each)] = curve(*each, 0)
                write_json(CURVES, kept)
        best = sorted(grid, key=lambda each: min(curves[_name(*each)].values()))[:REPEATED]
        for each in best:
            again = repeats.setdefault(_name(*each), [])
            while len(again) < SEEDS:
                again.append(min(curve(*each, len(again) + 1).values()))
                write_json(CURVES, kept)


def _kept(grid: list[list[float]]) -> dict[str, Any]:
    """What was recorded of this grid: an interrupted recording goes on."""
    recorded = json.loads(CURVES.read_text("utf-8"))
    return recorded if recorded.get("grid") == grid else {"grid": grid, "curves": {}, "repeats": {}}


if __name__ == "__main__":
    main()
