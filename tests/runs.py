"""Small runs with checkpoints, told to a real store without training anything."""

from collections.abc import Callable
from pathlib import Path

import mlx.core as mx

from harness.config.objective import VALID_LOSS, Objective
from harness.files import write_json
from harness.models.adapter import save_weights
from harness.tracking.candidates import (
    Candidates,
    Checkpoint,
    of_experiment,
)
from harness.tracking.run_state import RunState
from harness.tracking.runs import TrackedRun
from harness.tracking.store import Store

Begin = Callable[..., TrackedRun]


def log_checkpoint(run: TrackedRun, step: int, loss: float, *, digest: str = "d1", sweep: str = "") -> Path:
    weights = run.folder / f"{step:07d}_adapters.safetensors"
    save_weights(weights, {"a": mx.full((4,), loss)}, {"step": str(step)})
    write_json(run.folder / "adapter_config.json", {})
    run.checkpoint(
        weights.name,
        configs=["adapter_config.json"],
        step=step,
        scores={"valid/loss": loss},
        dataset=("valid", digest),
        params={"lora.rank": 8},
        tags={"base": "builtin:tiny"} | ({"sweep": sweep} if sweep else {}),
    )
    assert run.drain() == 0, run.trouble
    return weights


def candidates_of(store: Store, run: TrackedRun, by: Objective = VALID_LOSS) -> Candidates:
    return of_experiment(store, store.client.get_run(run.run_id).info.experiment_id, by)


def best_of(store: Store, run: TrackedRun) -> list[Checkpoint]:
    return candidates_of(store, run).best


def end_run(run: TrackedRun) -> None:
    assert run.finish(RunState.FINISHED) == 0, run.trouble


def begin_trial(begin: Begin, experiment: str, sweep: TrackedRun, kind: str = "trial") -> TrackedRun:
    return begin(experiment, kind=kind, sweep=sweep.run_id)
