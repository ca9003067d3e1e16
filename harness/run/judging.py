"""A run's texts before the judge: the share of frozen anchors that they beat, kept with all that it rests on."""

from collections.abc import Mapping, Sequence

from harness.config.schema import Config
from harness.console.progress import Display
from harness.errors import HarnessError, reason
from harness.evaluation.anchors import RunScore, anchors_of, judge_against_anchors, read_anchors, run_score
from harness.evaluation.contest import candidates_of
from harness.evaluation.decisions import read_decided
from harness.evaluation.measures import adapter_names, read_training
from harness.evaluation.panel import try_judges
from harness.evaluation.records import calls_of, verdict_rows, write_rubric
from harness.judging.blocks import Candidate
from harness.judging.rubric import Rubric
from harness.judging.verdicts import Verdict
from harness.run.context import RunContext
from harness.sampling.samples import Sample, marked
from harness.tracking import run_folder
from harness.tracking.queries import UNSCORED


def check_ready(config: Config, display: Display) -> None:
    """Whether the judge can be asked and there is something to judge against, before hours of training.

    A local judge is looked for, not started.

    Raises:
        HarnessError: for what is missing, or an endpoint that does not answer.
    """
    if config.judge.anchors is not None:
        read_anchors(config.judge, config.generate.prompts)
    read_decided(config.judge.decisions)
    try_judges(config.judge, display)


def judge_texts(context: RunContext, samples: list[Sample], beside: list[Sample]) -> RunScore:
    """The share of frozen anchors that the texts beat. A run that could not be judged says so and has no score."""
    judge = context.config.judge
    candidates = candidates_of(marked(samples), adapter_names(samples))
    anchors = _anchors(context, beside)
    if judge.serve:
        context.inputs.base.let_go()  # the judge needs the memory
    training = read_training(context.config.data)
    decided = read_decided(judge.decisions)
    try:
        judgement = judge_against_anchors(
            judge, candidates, anchors, training, context.display, decided=decided, report=context.hooks.judged
        )
    except HarnessError as error:
        context.display.say(f"warning: not judged: {error}")
        context.run.tags({UNSCORED: reason(error)[:500]})
        return RunScore()
    _keep(context, judgement.rubric, judgement.verdicts)
    score = run_score(judgement)
    if score.tags:
        context.run.tags(score.tags)
    for line in score.lines:
        context.display.say(line)
    return score


def _anchors(context: RunContext, beside: Sequence[Sample]) -> Mapping[str, Sequence[Candidate]]:
    judge, themes = context.config.judge, context.config.generate.prompts
    anchors = anchors_of(beside, judge.anchors_per_theme) if judge.anchors is None else read_anchors(judge, themes)
    without = [theme for theme in themes if theme not in anchors]
    if without:
        context.display.say(f"warning: no anchors on {', '.join(without)}: not judged there")
    return anchors


def _keep(context: RunContext, rubric: Rubric, verdicts: Sequence[Verdict]) -> None:
    """The rubric, each verdict and each call, in the run's folder and in MLflow."""
    write_rubric(context.folder / run_folder.RUBRIC, rubric, verdicts)
    context.run.artifact(run_folder.RUBRIC)
    context.run.tags({"rubric": rubric.digest})
    if verdicts:
        context.run.table(verdict_rows(verdicts), run_folder.VERDICTS_TABLE)
    if calls := calls_of(verdicts):
        context.run.traces(calls, run_folder.CALLS)
