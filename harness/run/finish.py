"""What a run leaves at its end: the best checkpoint's test score and texts, the totals, a report and a picture."""

import dataclasses
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

from harness.config.objective import OBJECTIVES, TEST_LOSS, VALID_LOSS
from harness.data.dataset import describe
from harness.files import write_json
from harness.machine.device import device
from harness.machine.provenance import git_state, versions
from harness.models.adapter import loaded
from harness.models.adapter_files import WEIGHTS_FILE, AdapterFiles
from harness.models.adapter_reading import read_adapter
from harness.run.context import RunContext
from harness.run.log import Event, draw_losses
from harness.run.watcher import RunWatcher
from harness.sampling.samples import Sample
from harness.tracking import run_folder
from harness.tracking.luck import left_out_of_run
from harness.tracking.run_state import RunState
from harness.tuning.batches import fixed_batches
from harness.tuning.cut import Tail
from harness.tuning.evaluate import Evaluator, Score
from harness.tuning.loop import Outcome
from harness.tuning.memory import Need
from harness.tuning.recurrence import chunked_recurrence


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """What the phases came to. `needs`: predicted memory by phase; `measured`: of the texts, by the metric's name."""

    outcome: Outcome
    needs: Mapping[str, Need]
    test: Score | None = None
    samples: Sequence[Sample] = ()
    measured: Mapping[str, float] = field(default_factory=dict)


def best_adapter(context: RunContext) -> AdapterFiles | None:
    """The best checkpoint, as it is on disk; without any, what the run began with."""
    if (context.folder / run_folder.ADAPTERS / WEIGHTS_FILE).exists():
        return read_adapter(context.folder / run_folder.ADAPTERS, f"runs:/{context.run.run_id}")
    return context.inputs.init


def _with(context: RunContext, adapter: AdapterFiles | None, scale: float = 1.0) -> AbstractContextManager[None]:
    return nullcontext() if adapter is None else loaded(context.inputs.base.model, adapter, scale=scale)


def score_test(context: RunContext, adapter: AdapterFiles | None, step: int, *, chunked: bool) -> Score | None:
    """The best checkpoint, that of update `step`, on the test split, when that is asked for.

    `chunked`: gated delta rules go in chunks, as the run's validations went.
    """
    if context.inputs.test is None:
        return None
    batches = fixed_batches(context.inputs.test.rows, context.config.train.batch_size)
    with _with(context, adapter), chunked_recurrence(chunked):
        score = Evaluator(Tail(context.inputs.base.model, 0), batches).score(step)
    context.display.say(f"test/loss {score.loss:.4f}, perplexity {score.perplexity:.1f}")
    context.log.write(Event.TESTED, **dataclasses.asdict(score))
    return score


def log_end(context: RunContext, watcher: RunWatcher, result: RunResult) -> dict[str, float]:
    """Tell MLflow and write the report. Returns what the run measured, by the metric's name."""
    totals = {**context.totals, **result.measured, **_totals(result, best_adapter(context))}
    totals |= left_out_of_run(context.folder)
    _tell(context, result, totals)
    draw_losses(context.folder / run_folder.LOSSES, watcher.windows, watcher.scores, context.name)
    write_json(context.folder / run_folder.REPORT, _report(context, watcher, result, totals))
    context.log.write(Event.ENDED, status=RunState.PRUNED if result.outcome.pruned else RunState.FINISHED, **totals)
    for file in (run_folder.LOSSES, run_folder.REPORT, run_folder.LOG, run_folder.VALID_ROWS):
        if (context.folder / file).exists():
            context.run.artifact(file)
    return totals


def _tell(context: RunContext, result: RunResult, totals: Mapping[str, float]) -> None:
    """What a search can be steered by was measured of the best checkpoint: that carries it too."""
    of_best = {name for name, each in OBJECTIVES.items() if name == each.checkpoint} & totals.keys()
    test, step = context.inputs.test, result.outcome.best.step
    if test is not None and TEST_LOSS in of_best:
        context.run.checkpoint_metrics(step, {TEST_LOSS: totals[TEST_LOSS]}, dataset=(test.name, test.digest))
    context.run.checkpoint_metrics(step, {name: totals[name] for name in of_best - {TEST_LOSS}})
    context.run.metrics(result.outcome.updates, {name: totals[name] for name in totals.keys() - of_best})


def _totals(result: RunResult, adapter: AdapterFiles | None) -> dict[str, float]:
    outcome, test, samples = result.outcome, result.test, result.samples
    totals = {
        VALID_LOSS.name: outcome.best.loss,
        "valid/best_step": float(outcome.best.step),
        "memory/peak_gb": outcome.peak_gb,
        "train/seconds": outcome.train_seconds,
    }
    if adapter is not None:
        totals["adapter/megabytes"] = adapter.weights.stat().st_size / 1e6
    if test is not None:
        totals |= {"test/loss": test.loss, "test/perplexity": test.perplexity}
    if samples:
        totals["generate/seconds_per_sample"] = sum(entry.seconds for entry in samples) / len(samples)
    return totals | {f"memory/{name}_predicted_gb": need.total / 1e9 for name, need in result.needs.items()}


def _report(
    context: RunContext, watcher: RunWatcher, result: RunResult, totals: Mapping[str, float]
) -> dict[str, object]:
    base = context.inputs.base
    return {
        "run": context.run.run_id,
        "name": context.name,
        "identity": context.inputs.parts,
        "config": dataclasses.asdict(context.config),
        "data": describe(context.inputs.splits),
        "base": {"path": base.path, "revision": base.revision},
        "device": device(),
        "versions": versions(),
        "git": git_state(),
        "warnings": context.inputs.warnings,
        "totals": totals,
        "memory_predicted_bytes": {name: dataclasses.asdict(need) for name, need in result.needs.items()},
        "validations": [dataclasses.asdict(score) | {"perplexity": score.perplexity} for score in watcher.scores],
        "training": [dataclasses.asdict(window) for window in watcher.windows],
        "samples": [dataclasses.asdict(entry) for entry in result.samples],
    }
