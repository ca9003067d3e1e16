"""A file of samples measured and judged, and what of it is kept as a run in MLflow: harness.judge as a recipe."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from harness.config.load import flat
from harness.config.schema import JudgeCommand
from harness.console.interrupt import told
from harness.console.progress import Display
from harness.errors import HarnessError, reason
from harness.evaluation.contest import Judgement, candidates_of, judge_contest
from harness.evaluation.decisions import compared_with_people, read_decided, read_decisions
from harness.evaluation.leaderboard import metrics_of, said_first, sample_rows, to_json
from harness.evaluation.measures import adapter_names, measure_samples, read_authors, read_training
from harness.evaluation.records import calls_of, verdict_rows, write_rubric
from harness.evaluation.show import show_leaderboard, show_measures
from harness.files import write_json
from harness.judging.decided import Decided
from harness.machine.provenance import git_state
from harness.sampling.samples import Origin, Sample, marked, read_samples
from harness.tracking import run_folder
from harness.tracking.run_kind import KIND, RunKind
from harness.tracking.run_state import RunState
from harness.tracking.runs import TrackedRun
from harness.tracking.store import open_store, open_writable_store


def measure_and_judge(command: JudgeCommand, out: Path | None, display: Display) -> None:
    """Measure; with a judge, rank and keep all of it in MLflow.

    Raises:
        HarnessError: when the samples or the author's texts cannot be read, the judge cannot be asked, or nothing that
            it replied could be scored.
    """
    samples = marked(read_samples(Path(command.samples).expanduser()))
    if not samples:
        raise HarnessError(f"samples={command.samples} has no sample; write some with harness.generate")
    decisions = read_decisions(command.judge.decisions)
    decided = read_decided(command.judge.decisions, samples)
    names = adapter_names(samples)
    base = [sample for sample in samples if sample.adapter is None]
    measured = measure_samples(samples, read_authors(command.data), base, names)
    show_measures(measured, command.data.path)
    for line in _trained_on_others(command, samples):
        display.say(f"warning: {line}")
    report: dict[str, Any] = {"measures": measured.to_json()}
    judgement = None
    if command.judge.wanted:
        judgement = _judged(command, samples, names, decisions, decided, display)
        report |= to_json(judgement, samples, names)
    if out is not None:
        write_json(out, report)
        display.say(f"all of it: {out}")
    if judgement is not None and judgement.failure is not None:
        raise HarnessError(f"{judgement.failure}; the replies are kept with the run, in {run_folder.VERDICTS_TABLE}")


def _judged(
    command: JudgeCommand,
    samples: Sequence[Sample],
    names: Mapping[Origin, str],
    decisions: Mapping[str, str],
    decided: Sequence[Decided],
    display: Display,
) -> Judgement:
    """A run in MLflow, however it ends."""
    candidates = candidates_of(samples, names)
    if len({each.adapter for each in candidates}) < 2:
        raise HarnessError(f"a ranking needs texts of two adapters, but samples={command.samples} has one")
    training = read_training(command.data)
    store = open_writable_store(command.tracking)
    name = f"judge {len(names)} adapters"
    tags = {KIND: RunKind.JUDGE, "mlflow.source.name": "harness.judge"} | git_state()
    with TrackedRun.start(store, command.name, name=name, tags=tags) as run:
        try:
            judgement = judge_contest(command.judge, candidates, training, display, decided)
            judgement = compared_with_people(judgement, decisions)
            _keep(run, command, judgement, samples, names)
        except KeyboardInterrupt as error:
            run.finish(RunState.KILLED, told(error).why)
            display.say("what was paid for is kept: the same command goes on")
            raise
        except BaseException as error:
            run.finish(RunState.FAILED, reason(error))
            raise
        run.finish(RunState.FINISHED if judgement.failure is None else RunState.FAILED, judgement.failure)
        if run.unsent is not None:
            display.say(f"warning: {run.unsent}")
    show_leaderboard(judgement, display)
    display.say(f"in MLflow: run {run.run_id} of experiment {command.name}")
    return judgement


def _keep(
    run: TrackedRun,
    command: JudgeCommand,
    judgement: Judgement,
    samples: Sequence[Sample],
    names: Mapping[Origin, str],
) -> None:
    """Metrics with their errors, the samples with verdicts, the rubric, the calls."""
    rubric, verdicts = judgement.rubric, judgement.verdicts
    settings = {key: value for key, value in flat(command).items() if not key.startswith("tracking.")}
    run.params(settings | {"judge.rubric": rubric.digest})
    run.metrics(0, metrics_of(judgement))
    agreements = "; ".join(agreement.said for agreement in judgement.agreements)
    tags = {"ended": judgement.contest.ended, "agreement": agreements, "first": said_first(judgement)}
    tags["taught"] = "" if judgement.lesson is None else judgement.lesson.said
    run.tags({name: said for name, said in tags.items() if said})
    write_rubric(run.folder / run_folder.RUBRIC, rubric, verdicts)
    write_json(run.folder / run_folder.RANKING, to_json(judgement, samples, names))
    for file in (run_folder.RUBRIC, run_folder.RANKING):
        run.artifact(file)
    run.table(sample_rows(judgement, samples, names), run_folder.SAMPLES_TABLE)
    if verdicts:
        run.table(verdict_rows(verdicts), run_folder.VERDICTS_TABLE)
    if calls := calls_of(verdicts):
        run.traces(calls, run_folder.CALLS)


def _trained_on_others(command: JudgeCommand, samples: Sequence[Sample]) -> Iterator[str]:
    """Where a run of this store was trained on other lines than the texts are measured against."""
    runs = open_store(command.tracking).runs
    here = Path(command.data.path).expanduser().resolve()
    for run in dict.fromkeys(sample.run for sample in samples if sample.run is not None):
        config = runs / run / run_folder.CONFIG
        if config.exists():
            there = str(yaml.safe_load(config.read_text("utf-8"))["data"]["path"])
            if Path(there).expanduser().resolve() != here:
                yield f"run {run} was trained on {there}, but texts are measured against {here}; say data.path={there}"
