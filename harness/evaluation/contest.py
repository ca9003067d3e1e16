"""A contest of adapters before the judges: from their samples to standings, controls and marks, within a budget.

Knows nothing of files or of runs: who keeps what was found is the caller's business.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from harness.config.panel import seats_of
from harness.config.schema import JudgeConfig
from harness.console.progress import Display
from harness.data.units import units
from harness.evaluation.panel import Needed, open_judges, spending_of
from harness.evaluation.teaching import planned_calls as planned_calls_of_lessons
from harness.evaluation.teaching import schooled
from harness.judging.agreement import Agreement, between_judges
from harness.judging.blocks import Block, Candidate
from harness.judging.contest import Contest, hold, planned_calls
from harness.judging.controls import Controls, check, control_blocks
from harness.judging.decided import Decided
from harness.judging.likes import Like, likes
from harness.judging.rubric import Mark, Rubric
from harness.judging.stability import Stability, repeated
from harness.judging.teaching import Lesson
from harness.judging.verdicts import Judge, Verdict, gathered
from harness.llm.spending import Spending, about_tokens
from harness.sampling.samples import Origin, Sample
from harness.textstats.traits import traits

_REPLY_TOKENS = 120  # of a reply as it usually is, for the estimate
_CALLS_A_CONTROL = 28  # 7, and at most a quarter of a small budget
_ABOVE = 450  # tokens of rubric and orders around the texts

Tell = Callable[[Verdict], object]


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What a contest came to. `marks`: by the text's id, then by criterion; `verdicts`: those on control pairs too.

    `person`: how far the judges agree with a person's decisions, and each of them by its name. `rubric`: what they
    were told, and `lesson`: what came of teaching them. `stability`: what each says when it is asked the same again;
    `likes`: what else each goes by.
    """

    contest: Contest
    controls: Controls | None
    agreements: list[Agreement]
    marks: dict[str, dict[str, Mark]]
    verdicts: list[Verdict]
    spending: Spending
    rubric: Rubric
    lesson: Lesson | None = None
    stability: list[Stability] = field(default_factory=list)
    likes: Mapping[str, list[Like]] = field(default_factory=dict)
    person: Agreement | None = None
    person_by_judge: Mapping[str, Agreement] = field(default_factory=dict)

    @property
    def unscored(self) -> list[str]:
        """Why questions are unscored, one by one."""
        return [each.unscored for each in self.verdicts if each.unscored is not None]

    @property
    def failure(self) -> str | None:
        """Why nothing at all could be scored, in words; None when something could."""
        if self.contest.standings is not None or self.marks:
            return None
        said = f"nothing could be scored ({self.contest.ended})"
        if not self.unscored:
            return said
        of = f"{len(self.unscored)} of {len(self.verdicts)} questions are unscored"
        return f"{said}: {of}; the first: {self.unscored[0]}"


def candidates_of(samples: Sequence[Sample], names: Mapping[Origin, str]) -> list[Candidate]:
    """The samples to be judged: of an adapter's texts on a theme that say the same, the first alone."""
    owners = {sample.id: names[sample.origin] for sample in samples}
    return [
        candidate_of(sample, adapter=owners[sample.id], slot=f"{sample.variant} {sample.index}")
        for sample in samples
        if sample.duplicate_of is None or owners.get(sample.duplicate_of) != owners[sample.id]
    ]


def candidate_of(sample: Sample, *, adapter: str, slot: str) -> Candidate:
    return Candidate(
        id=sample.id,
        adapter=adapter,
        theme=sample.theme,
        slot=slot,
        text=sample.text or "(nothing)",
        length=len(units(sample.text)),
    )


def estimate(judge: JudgeConfig, candidates: Sequence[Candidate], other: int) -> str:
    """Calls, tokens and cost of a contest, in a line. `other`: calls for controls and teaching."""
    judges = len(seats_of(judge))
    first, every = planned_calls(candidates, judge.block, judge.seed)
    other += len(candidates) if judge.scores else 0
    length = sum(about_tokens(each.text) for each in candidates) / max(len(candidates), 1)

    def said(calls: int) -> str:
        tokens_in, tokens_out = calls * (_ABOVE + judge.block * length), calls * _REPLY_TOKENS
        cost = spending_of(judge).limits.price(tokens_in, tokens_out)
        return f"{calls} calls, {(tokens_in + tokens_out) / 1000:.0f} thousand tokens{f', {cost:.2f}' if cost else ''}"

    return (
        f"about {said(first * judges + other)} for the first round and controls, at most {said(every * judges + other)}"
    )


def judge_contest(
    judge: JudgeConfig,
    candidates: Sequence[Candidate],
    training: Mapping[str, str],
    display: Display,
    decided: Sequence[Decided] = (),
) -> Judgement:
    """Rank the adapters; with what is left of the budget controls and marks. `training`: the author's texts by theme.

    `decided`: by a person, to teach the judges with.

    Raises:
        HarnessError: when the judge cannot be asked at all.
    """
    pairs = judge.controls if judge.max_calls is None else min(judge.controls, judge.max_calls // _CALLS_A_CONTROL)
    blocks = control_blocks(candidates, training, pairs=pairs, seed=judge.seed)
    other = planned_calls_of_lessons(judge, decided, len(seats_of(judge))) + judge.repeats * len(seats_of(judge))
    display.say(f"judging {len(candidates)} texts: {estimate(judge, candidates, len(blocks) + other)}")
    spending = spending_of(judge)
    adapters = list(dict.fromkeys(each.adapter for each in candidates))

    async def work(tell: Tell) -> Judgement:
        async with open_judges(judge, spending, display, needed=Needed.ANY) as opened:
            school = await schooled(opened, judge, decided, tell, compared=False)
            judges, lesson = school.judges, school.lesson
            controls, asked = (await check(judges[0], blocks, tell)) if blocks else (None, [])
            contest = await hold(judges, candidates, block=judge.block, seed=judge.seed, tell=tell)
            stability, again = await repeated(
                judges, _repeats(contest, candidates, judge.repeats), contest.verdicts, tell
            )
            marked = await _marked(judges[0], candidates, tell) if judge.scores else []
            agreement = between_judges(contest.verdicts)
            return Judgement(
                contest=contest,
                controls=controls,
                agreements=[] if agreement is None else [agreement],
                marks={each.ids[0]: each.scores for each in marked if each.scores is not None},
                verdicts=[*contest.verdicts, *asked, *again, *marked, *([] if lesson is None else lesson.verdicts)],
                spending=spending,
                rubric=judges[0].rubric,
                lesson=lesson,
                stability=stability,
                likes=likes(contest.verdicts, {each.id: traits(each.text) for each in candidates}, adapters),
            )

    _, most = planned_calls(candidates, judge.block, judge.seed)
    total = most * len(seats_of(judge)) + len(blocks) + other
    total += len(candidates) if judge.scores else 0
    with display.texts(total, "judging", "calls") as counted:
        return asyncio.run(work(lambda verdict: counted(0)))


def _repeats(contest: Contest, candidates: Sequence[Candidate], count: int) -> list[Block]:
    """So many blocks to ask about once more, from all over the contest."""
    by_id = {each.id: each for each in candidates}
    blocks = {tuple(each.ids): each.theme for each in contest.verdicts if each.unscored is None}
    some = list(blocks.items())[:: max(1, len(blocks) // count)][:count] if count else []
    return [Block(theme, [by_id[sample] for sample in ids]) for ids, theme in some]


async def _marked(judge: Judge, candidates: Sequence[Candidate], tell: Tell) -> list[Verdict]:
    """Each text by itself, as far as the budget goes."""
    asked = await gathered([judge.score(Block(each.theme, [each])) for each in candidates], tell)
    return asked.done
