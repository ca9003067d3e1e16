"""What a run leaves at its end: the best checkpoint's test score and texts, the totals, a report and a picture."""

import dataclasses
from contextlib import AbstractContextManager, nullcontext

from harness.data.dataset import describe
from harness.files import write_json
from harness.machine.device import device
from harness.machine.provenance import git_state, versions
from harness.models.adapter import loaded
from harness.models.adapter_files import WEIGHTS_FILE, AdapterFiles, read_adapter
from harness.run.context import Work
from harness.run.log import draw_losses
from harness.run.preflight import MemoryPlan
from harness.run.watcher import RunWatcher
from harness.sampling.samples import Sample
from harness.tracking import run_folder
from harness.tracking.overview import BEST
from harness.tuning.batches import fixed_batches
from harness.tuning.cut import Tail
from harness.tuning.evaluate import Evaluator, Score
from harness.tuning.loop import Outcome


def best_adapter(work: Work) -> AdapterFiles | None:
    """The best checkpoint, as it is on disk; without any, what the run began with."""
    if (work.folder / run_folder.ADAPTERS / WEIGHTS_FILE).exists():
        return read_adapter(work.folder / run_folder.ADAPTERS, f"runs:/{work.run.run_id}")
    return work.material.init


def _with(work: Work, adapter: AdapterFiles | None, scale: float = 1.0) -> AbstractContextManager[None]:
    return nullcontext() if adapter is None else loaded(work.material.base.model, adapter, scale=scale)


def score_test(work: Work, adapter: AdapterFiles | None, outcome: Outcome) -> Score | None:
    """The best checkpoint on the test split, when that is asked for."""
    if work.material.test is None:
        return None
    batches = fixed_batches(work.material.test.rows, work.config.train.batch_size)
    with _with(work, adapter):
        score = Evaluator(Tail(work.material.base.model, 0), batches).score(outcome.best.step)
    work.display.say(f"test/loss {score.loss:.4f}, perplexity {score.perplexity:.1f}")
    work.log.write("tested", **dataclasses.asdict(score))
    return score


def log_end(
    work: Work,
    outcome: Outcome,
    test: Score | None,
    watcher: RunWatcher,
    samples: list[Sample],
    found: dict[str, float],
    plan: MemoryPlan,
) -> dict[str, float]:
    """Tell MLflow and write the report; `found`: of the texts. Returns what the run measured, by the metric's name."""
    totals = (
        work.totals
        | found
        | {
            BEST: outcome.best.loss,
            "valid/best_step": float(outcome.best.step),
            "memory/peak_gb": outcome.peak_gb,
            "train/seconds": outcome.train_seconds,
        }
    )
    adapter = best_adapter(work)
    if adapter is not None:
        totals["adapter/megabytes"] = adapter.weights.stat().st_size / 1e6
    if test is not None:
        totals |= {"test/loss": test.loss, "test/perplexity": test.perplexity}
    if samples:
        totals["generate/seconds_per_sample"] = sum(entry.seconds for entry in samples) / len(samples)
    totals |= {f"memory/{name}_predicted_gb": need.total / 1e9 for name, need in plan.phases.items()}
    work.run.metrics(outcome.updates, totals)
    draw_losses(work.folder / run_folder.LOSSES, watcher.windows, watcher.scores, work.name)
    report = {
        "run": work.run.run_id,
        "name": work.name,
        "identity": work.material.parts,
        "config": dataclasses.asdict(work.config),
        "data": describe(work.material.splits),
        "base": {"path": work.material.base.path, "revision": work.material.base.revision},
        "device": device(),
        "versions": versions(),
        "git": git_state(),
        "warnings": work.material.warnings,
        "totals": totals,
        "memory_predicted_bytes": {name: dataclasses.asdict(need) for name, need in plan.phases.items()},
        "validations": [dataclasses.asdict(score) | {"perplexity": score.perplexity} for score in watcher.scores],
        "training": [dataclasses.asdict(window) for window in watcher.windows],
        "samples": [dataclasses.asdict(entry) for entry in samples],
    }
    write_json(work.folder / run_folder.REPORT, report)
    work.log.write("ended", status="PRUNED" if outcome.pruned else "FINISHED", **totals)
    for file in (run_folder.LOSSES, run_folder.REPORT, run_folder.LOG):
        work.run.artifact(file)
    return totals
