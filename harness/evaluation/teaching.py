"""Judges before they judge: taught by what a person decided, where that helps. Knows nothing of files."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harness.config.schema import JudgeConfig
from harness.judging.decided import MOST_BLOCKS, Decided, Plan, plan
from harness.judging.teaching import Lesson, compare, teach
from harness.judging.verdicts import Judge, Verdict

_SHARE = 8  # of a small budget a quarter goes to the two times that blocks are asked about


@dataclass(frozen=True)
class Schooled:
    """The judges as they go on. `lesson`: what came of the decisions; None where there are none."""

    judges: list[Judge]
    lesson: Lesson | None


def plan_of(judge: JudgeConfig, decided: Sequence[Decided], judges: int) -> Plan:
    most = MOST_BLOCKS if judge.max_calls is None else min(MOST_BLOCKS, judge.max_calls // (_SHARE * judges))
    return plan(decided, size=judge.block, seed=judge.seed, most=most)


def planned_calls(judge: JudgeConfig, decided: Sequence[Decided], judges: int) -> int:
    """Of teaching, at most."""
    planned = plan_of(judge, decided, judges)
    return 0 if judge.teach is False or planned.lacks is not None else 2 * judges * len(planned.blocks)


async def schooled(
    judges: list[Judge],
    judge: JudgeConfig,
    decided: Sequence[Decided],
    tell: Callable[[Verdict], object],
    *,
    compared: bool,
) -> Schooled:
    """`compared`: whether agreement is to be asked about even where nobody can be taught."""
    if not decided:
        return Schooled(judges, None)
    planned = plan_of(judge, decided, len(judges))
    why = "judge.teach is false" if judge.teach is False else planned.lacks
    if why is None:
        lesson = await teach(judges, planned, {each.id: each.decision for each in decided}, tell)
    elif compared:
        lesson = await compare(judges, decided, size=judge.block, seed=judge.seed, why=why, tell=tell)
    else:
        lesson = await compare(judges, (), size=judge.block, seed=judge.seed, why=why, tell=tell)
    return Schooled([each.taught(lesson.examples) for each in judges] if lesson.used else judges, lesson)
