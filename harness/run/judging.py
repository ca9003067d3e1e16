"""A run's texts before the judge: the share of frozen anchors that they beat, kept with all that it rests on."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.config.objective import WIN_RATE
from harness.config.schema import Config
from harness.console.progress import Display
from harness.data.authored import by_theme
from harness.data.lines import read_lines
from harness.errors import HarnessError, reason
from harness.evaluation.measures import adapter_names
from harness.evaluation.panel import (
    anchor_entries,
    calls_of,
    control_metrics,
    entries_of,
    judge_against_anchors,
    read_anchors,
    rubric_of,
    try_judges,
    verdict_rows,
    write_rubric,
)
from harness.judging.agreement import between_judges
from harness.judging.anchors import Measured as Judged
from harness.judging.blocks import Entry
from harness.judging.verdicts import Verdict
from harness.llm.spending import Spending
from harness.run.context import RunContext
from harness.sampling.samples import Sample, marked
from harness.tracking import run_folder
from harness.tracking.queries import DISAGREEMENT, UNSCORED, WIN_RATE_ERROR


@dataclass(frozen=True)
class Found:
    """`metrics` by name; `pruned`: others were better on the same themes."""

    metrics: dict[str, float]
    pruned: bool = False


def check_ready(config: Config, display: Display) -> None:
    """Whether the judge can be asked and there is something to judge against, before hours of training.

    A local judge is looked for, not started.

    Raises:
        HarnessError: for what is missing, or an endpoint that does not answer.
    """
    judge = config.judge
    if judge.anchors is not None:
        _frozen(config)
    try_judges(judge, display)


def _frozen(config: Config) -> dict[str, list[Entry]]:
    """The anchors of judge.anchors by theme.

    Raises:
        HarnessError: when the file is none of samples, or has no text on any of the run's themes.
    """
    anchors = anchor_entries(read_anchors(config.judge), config.judge.anchors_per_theme)
    if not set(anchors) & set(config.generate.prompts):
        raise HarnessError(
            f"judge.anchors={config.judge.anchors} has no text on any of generate.prompts; write some on them"
        )
    return anchors


def judge_texts(context: RunContext, samples: list[Sample], beside: list[Sample]) -> Found:
    """The share of frozen anchors that the texts beat. A run that could not be judged says so and has no score."""
    judge = context.config.judge
    entries = entries_of(marked(samples), adapter_names(samples))
    anchors = _anchors(context, beside)
    if judge.serve:
        context.inputs.base.let_go()  # the judge needs the memory
    data = context.config.data
    training = by_theme(read_lines(Path(data.path).expanduser() / "train.jsonl", data.labels))
    report = context.hooks.judged
    try:
        scored = judge_against_anchors(judge, entries, anchors, training, context.display, report=report)
    except HarnessError as error:
        context.display.say(f"warning: not judged: {error}")
        context.run.tags({UNSCORED: reason(error)[:500]})
        return Found({})
    _keep(context, [*scored.measured.verdicts, *scored.asked])
    found = _win_rate(context, scored.measured, scored.spending)
    return Found(found | control_metrics(scored.controls), scored.measured.pruned)


def _anchors(context: RunContext, beside: list[Sample]) -> Mapping[str, list[Entry]]:
    judge = context.config.judge
    anchors = anchor_entries(beside, judge.anchors_per_theme) if judge.anchors is None else _frozen(context.config)
    without = [theme for theme in context.config.generate.prompts if theme not in anchors]
    if without:
        context.display.say(f"warning: no anchors on {', '.join(without)}: not judged there")
    return anchors


def _keep(context: RunContext, verdicts: list[Verdict]) -> None:
    """The rubric, each verdict and each call, in the run's folder and in MLflow."""
    rubric = rubric_of(context.config.judge)
    write_rubric(context.folder / run_folder.RUBRIC, rubric)
    context.run.artifact(run_folder.RUBRIC)
    context.run.tags({"rubric": rubric.digest})
    if verdicts:
        context.run.table(verdict_rows(verdicts), run_folder.VERDICTS_TABLE)
    if calls := calls_of(verdicts):
        context.run.traces(calls, run_folder.CALLS)


def _win_rate(context: RunContext, judged: Judged, spending: Spending) -> dict[str, float]:
    rate = judged.rate
    found = {
        "judge/unscored": float(rate.unscored),
        "judge/calls": float(spending.calls),
        "judge/calls_cached": float(spending.cached),
        "judge/tokens": float(spending.tokens_in + spending.tokens_out),
        "judge/cost": spending.cost,
    }
    why = judged.ended or "the judge's replies could not be read"
    if judged.pruned:  # on other themes than those of whole runs
        context.run.tags({UNSCORED: f"ended after {len(rate.by_theme)} themes: {why}"})
        return found
    if rate.value is None:
        context.display.say(f"warning: not judged: {rate.unscored} of {rate.texts} texts are unscored ({why})")
        context.run.tags({UNSCORED: f"{rate.unscored} of {rate.texts} texts: {why}"})
        return found
    found[WIN_RATE.name] = rate.value
    error = ""
    if rate.stderr is not None:
        found[WIN_RATE_ERROR] = rate.stderr
        error = f" ± {rate.stderr:.2f}"
    agreement = between_judges(judged.verdicts)
    if agreement is not None:
        found["judge/agreement"] = agreement.value
        context.display.say(agreement.said)
        if agreement.low:
            context.run.tags({DISAGREEMENT: agreement.said})
    left = f"; {rate.unscored} of {rate.texts} texts unscored ({why})" if rate.unscored else ""
    context.display.say(f"judge/win_rate {rate.value:.2f}{error} over {len(rate.by_theme)} themes{left}")
    return found
