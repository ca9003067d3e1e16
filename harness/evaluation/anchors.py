"""A run's texts against frozen ones: the share of anchors that they beat, as the run keeps it.

Knows nothing of files or of runs: who keeps what was found is the caller's business.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.config.objective import WIN_RATE
from harness.config.panel import seats_of
from harness.config.schema import JudgeConfig
from harness.console.progress import Display
from harness.errors import HarnessError
from harness.evaluation.contest import Tell, candidate_of
from harness.evaluation.panel import Needed, open_judges, spending_of
from harness.evaluation.records import control_metrics, lesson_metrics, person_metrics, spending_metrics
from harness.evaluation.teaching import planned_calls, schooled
from harness.judging.agreement import between_judges
from harness.judging.anchors import ANCHOR, AnchorContest, anchored_blocks, win_rate
from harness.judging.blocks import Candidate
from harness.judging.controls import Controls, check, control_blocks
from harness.judging.decided import Decided
from harness.judging.rubric import Rubric
from harness.judging.teaching import Lesson
from harness.judging.verdicts import Verdict
from harness.llm.spending import Spending
from harness.sampling.samples import Sample, read_samples
from harness.tracking.queries import DISAGREEMENT, UNSCORED, WIN_RATE_ERROR

Anchors = Mapping[str, Sequence[Candidate]]


@dataclass(frozen=True, kw_only=True)
class AnchorJudgement:
    """What a run's judging came to; `asked`: the verdicts on control pairs."""

    contest: AnchorContest
    lesson: Lesson | None
    rubric: Rubric
    controls: Controls | None
    asked: list[Verdict]
    spending: Spending

    @property
    def verdicts(self) -> list[Verdict]:
        return [*self.contest.verdicts, *self.asked, *([] if self.lesson is None else self.lesson.verdicts)]


@dataclass(frozen=True, kw_only=True)
class RunScore:
    """What a run says of itself: metrics and tags by name, and lines for a person. `pruned`: others were better."""

    metrics: dict[str, float] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    pruned: bool = False


def anchors_of(samples: Sequence[Sample], per_theme: int) -> dict[str, list[Candidate]]:
    """The first so many different texts on each theme."""
    anchors: dict[str, list[Candidate]] = {}
    texts: set[tuple[str, str]] = set()
    for sample in samples:
        of_theme = anchors.setdefault(sample.theme, [])
        if len(of_theme) < per_theme and (sample.theme, sample.text) not in texts:
            texts.add((sample.theme, sample.text))
            of_theme.append(candidate_of(sample, adapter=ANCHOR, slot=str(len(of_theme))))
    return anchors


def read_anchors(judge: JudgeConfig, themes: Sequence[str]) -> dict[str, list[Candidate]]:
    """The frozen texts of judge.anchors by theme.

    Raises:
        HarnessError: when the file is none of samples, or has no text on any of the themes.
    """
    assert judge.anchors is not None, "only then is there a file"
    samples = read_samples(Path(judge.anchors).expanduser(), setting="judge.anchors")
    anchors = anchors_of(samples, judge.anchors_per_theme)
    if not set(anchors) & set(themes):
        raise HarnessError(f"judge.anchors={judge.anchors} has no text on any of generate.prompts; write some on them")
    return anchors


def judge_against_anchors(
    judge: JudgeConfig,
    candidates: Sequence[Candidate],
    anchors: Anchors,
    training: Mapping[str, str],
    display: Display,
    *,
    decided: Sequence[Decided] = (),
    report: Callable[[int, float], bool] = lambda number, lost: False,
) -> AnchorJudgement:
    """The share of anchors that the texts beat, theme by theme; and controls. `decided`: to teach the judges with.

    These are made of the anchors, the same for every run: the first of a sweep pays for them.

    Raises:
        HarnessError: when the judge cannot be asked at all.
    """
    blocks = anchored_blocks(candidates, anchors, judge.seed)
    frozen = [anchor for of_theme in anchors.values() for anchor in of_theme]
    pairs = control_blocks(frozen, training, pairs=judge.controls, seed=judge.seed)
    spending = spending_of(judge)
    needed = Needed.ANY if judge.panel else Needed.FIRST

    async def work(tell: Tell) -> AnchorJudgement:
        async with open_judges(judge, spending, display, needed=needed) as opened:
            school = await schooled(opened, judge, decided, tell, compared=True)
            judges = school.judges
            contest = await win_rate(
                judges,
                blocks,
                at_once=judge.concurrency,
                scorers=len(judges) if judge.panel else 1,
                report=report,
                tell=tell,
            )
            controls, asked = (await check(judges[0], pairs, tell)) if pairs else (None, [])
            return AnchorJudgement(
                contest=contest,
                lesson=school.lesson,
                rubric=judges[0].rubric,
                controls=controls,
                asked=asked,
                spending=spending,
            )

    count = len(seats_of(judge))
    total = len(blocks) * count + len(pairs) + planned_calls(judge, decided, count)
    with display.texts(total, "judging", "calls") as counted:
        return asyncio.run(work(lambda verdict: counted(0)))


def run_score(judgement: AnchorJudgement) -> RunScore:
    """As the run keeps it. What could not be scored has no win rate, and says why."""
    contest, rate = judgement.contest, judgement.contest.rate
    metrics = {"judge/unscored": float(rate.unscored)} | spending_metrics(judgement.spending)
    metrics |= control_metrics(judgement.controls) | lesson_metrics(judgement.lesson)
    lesson = judgement.lesson
    metrics |= person_metrics(None if lesson is None else lesson.person)
    doubts = [] if judgement.controls is None else [f"warning: {doubt}" for doubt in judgement.controls.doubts]
    doubts += _of_person(lesson)
    why = contest.ended or _first_reason(contest.verdicts) or "the judge's replies could not be read"
    if contest.pruned:  # on other themes than those of whole runs
        tags = {UNSCORED: f"ended after {len(rate.by_theme)} themes: {why}"}
        return RunScore(metrics=metrics, tags=tags, pruned=True)
    if rate.value is None:
        return RunScore(
            metrics=metrics,
            tags={UNSCORED: f"{rate.unscored} of {rate.texts} texts: {why}"},
            lines=[f"warning: not judged: {rate.unscored} of {rate.texts} texts are unscored ({why})"],
        )
    metrics[WIN_RATE.name] = rate.value
    error = ""
    if rate.stderr is not None:
        metrics[WIN_RATE_ERROR] = rate.stderr
        error = f" ± {rate.stderr:.2f}"
    left = f"; {rate.unscored} of {rate.texts} texts unscored ({why})" if rate.unscored else ""
    lines = [*doubts, f"judge/win_rate {rate.value:.2f}{error} over {len(rate.by_theme)} themes{left}"]
    agreement = between_judges(contest.verdicts)
    if agreement is None:
        return RunScore(metrics=metrics, lines=lines)
    tags = {DISAGREEMENT: agreement.said} if agreement.low else {}
    return RunScore(metrics=metrics | {"judge/agreement": agreement.value}, tags=tags, lines=[agreement.said, *lines])


def _of_person(lesson: Lesson | None) -> list[str]:
    """How far the judge agrees with the person, and whether it was taught."""
    if lesson is None:
        return []
    person = [] if lesson.person is None else [lesson.person.said]
    return [*person, lesson.said]


def _first_reason(verdicts: Sequence[Verdict]) -> str | None:
    return next((each.unscored for each in verdicts if each.unscored is not None), None)
