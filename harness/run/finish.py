"""What a run leaves at its end: the best checkpoint's test score and texts, the totals, a report and a picture."""

import dataclasses
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext

from harness.config.objective import OBJECTIVES, TEST_LOSS, VALID_LOSS
from harness.data.dataset import describe
from harness.files import write_json
from harness.machine.device import device
from harness.machine.provenance import git_state, versions
from harness.models.adapter import WEIGHTS_FILE, AdapterFiles, loaded, read_adapter
from harness.run.context import RunContext
from harness.run.log import draw_losses
from harness.run.preflight import MemoryPlan
from harness.run.watcher import RunWatcher
from harness.sampling.samples import Sample
from harness.tracking import run_folder
from harness.tuning.batches import fixed_batches
from harness.tuning.cut import Tail
from harness.tuning.evaluate import Evaluator, Score
from harness.tuning.loop import Outcome


def best_adapter(context: RunContext) -> AdapterFiles | None:
    """The best checkpoint, as it is on disk; without any, what the run began with."""
    if (context.folder / run_folder.ADAPTERS / WEIGHTS_FILE).exists():
        return read_adapter(context.folder / run_folder.ADAPTERS, f"runs:/{context.run.run_id}")
    return context.inputs.init


def _with(context: RunContext, adapter: AdapterFiles | None, scale: float = 1.0) -> AbstractContextManager[None]:
    return nullcontext() if adapter is None else loaded(context.inputs.base.model, adapter, scale=scale)


def score_test(context: RunContext, adapter: AdapterFiles | None, outcome: Outcome) -> Score | None:
    """The best checkpoint on the test split, when that is asked for."""
    if context.inputs.test is None:
        return None
    batches = fixed_batches(context.inputs.test.rows, context.config.train.batch_size)
    with _with(context, adapter):
        score = Evaluator(Tail(context.inputs.base.model, 0), batches).score(outcome.best.step)
    context.display.say(f"test/loss {score.loss:.4f}, perplexity {score.perplexity:.1f}")
    context.log.write("tested", **dataclasses.asdict(score))
    return score


def _tell(context: RunContext, outcome: Outcome, totals: Mapping[str, float]) -> None:
    """What a search can be steered by is of the best checkpoint, and so are all measures of its texts."""
    of_best = {name for name, each in OBJECTIVES.items() if name == each.checkpoint} & totals.keys()
    losses = {name: totals[name] for name in of_best if name == TEST_LOSS}
    if losses and context.inputs.test is not None:
        digest = context.inputs.test.digest
        context.run.checkpoint_metrics(outcome.best.step, losses, dataset=(context.inputs.test.name, digest))
    context.run.checkpoint_metrics(outcome.best.step, {name: totals[name] for name in of_best - losses.keys()})
    context.run.metrics(outcome.updates, {name: value for name, value in totals.items() if name not in of_best})


def log_end(
    context: RunContext,
    outcome: Outcome,
    test: Score | None,
    watcher: RunWatcher,
    samples: list[Sample],
    found: dict[str, float],
    plan: MemoryPlan,
) -> dict[str, float]:
    """Tell MLflow and write the report; `found`: of the texts. Returns what the run measured, by the metric's name."""
    totals = (
        context.totals
        | found
        | {
            VALID_LOSS.name: outcome.best.loss,
            "valid/best_step": float(outcome.best.step),
            "memory/peak_gb": outcome.peak_gb,
            "train/seconds": outcome.train_seconds,
        }
    )
    adapter = best_adapter(context)
    if adapter is not None:
        totals["adapter/megabytes"] = adapter.weights.stat().st_size / 1e6
    if test is not None:
        totals |= {"test/loss": test.loss, "test/perplexity": test.perplexity}
    if samples:
        totals["generate/seconds_per_sample"] = sum(entry.seconds for entry in samples) / len(samples)
    totals |= {f"memory/{name}_predicted_gb": need.total / 1e9 for name, need in plan.phases.items()}
    _tell(context, outcome, totals)
    draw_losses(context.folder / run_folder.LOSSES, watcher.windows, watcher.scores, context.name)
    report = {
        "run": context.run.run_id,
        "name": context.name,
        "identity": context.inputs.parts,
        "config": dataclasses.asdict(context.config),
        "data": describe(context.inputs.splits),
        "base": {"path": context.inputs.base.path, "revision": context.inputs.base.revision},
        "device": device(),
        "versions": versions(),
        "git": git_state(),
        "warnings": context.inputs.warnings,
        "totals": totals,
        "memory_predicted_bytes": {name: dataclasses.asdict(need) for name, need in plan.phases.items()},
        "validations": [dataclasses.asdict(score) | {"perplexity": score.perplexity} for score in watcher.scores],
        "training": [dataclasses.asdict(window) for window in watcher.windows],
        "samples": [dataclasses.asdict(entry) for entry in samples],
    }
    write_json(context.folder / run_folder.REPORT, report)
    context.log.write("ended", status="PRUNED" if outcome.pruned else "FINISHED", **totals)
    for file in (run_folder.LOSSES, run_folder.REPORT, run_folder.LOG):
        context.run.artifact(file)
    return totals
