"""What is kept of a judging, whatever it was for: the rubric, each verdict, each call, and what they cost."""

import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from harness.files import write_text
from harness.judging.agreement import Agreement
from harness.judging.controls import Controls
from harness.judging.rubric import Rubric
from harness.judging.teaching import Lesson
from harness.judging.verdicts import Verdict, how_read
from harness.llm.spending import Spending
from harness.tracking.queries import PERSON
from harness.tracking.traces import Call


def rubric_record(rubric: Rubric, verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """What the judge was told, and how its replies could be read."""
    return dataclasses.asdict(rubric) | {"digest": rubric.digest, "replies": dict(how_read(verdicts))}


def write_rubric(file: Path, rubric: Rubric, verdicts: Sequence[Verdict]) -> None:
    write_text(file, yaml.safe_dump(rubric_record(rubric, verdicts), allow_unicode=True, sort_keys=False))


def verdict_rows(verdicts: Sequence[Verdict]) -> list[dict[str, Any]]:
    """For MLflow's table."""
    return [
        {
            "theme": each.theme,
            "ranking": " > ".join(each.adapters[place] for place in each.order),
            "explanation": each.explanation,
            "unscored": each.unscored or "",
            "kind": each.kind,
            "judge": each.judge,
            "reply": each.reply,
            "read past": ", ".join(each.leniencies),
        }
        for each in verdicts
    ]


def calls_of(verdicts: Sequence[Verdict]) -> list[Call]:
    """For MLflow's traces; what came from the cache was traced when it was paid for."""
    now = int(time.time() * 1000)
    return [
        Call(
            name=f"{each.kind}: {each.theme}"[:80],
            model=each.judge,
            prompt=each.prompt,
            reply=each.reply,
            unscored=each.unscored,
            at=now,
            seconds=each.seconds,
        )
        for each in verdicts
        if not each.cached
    ]


def spending_metrics(spending: Spending) -> dict[str, float]:
    return {
        "judge/calls": float(spending.calls),
        "judge/calls_cached": float(spending.cached),
        "judge/tokens": float(spending.tokens_in + spending.tokens_out),
        "judge/cost": spending.cost,
    }


def person_metrics(person: Agreement | None) -> dict[str, float]:
    """How far the judges agree with a person's decisions."""
    if person is None:
        return {}
    error = {} if person.stderr is None else {f"{PERSON}_stderr": person.stderr}
    return {PERSON: person.value} | error


def lesson_record(lesson: Lesson) -> dict[str, Any]:
    """Without the verdicts, which stand with all others."""
    record = dataclasses.asdict(lesson)
    return {key: value for key, value in record.items() if key != "verdicts"}


def lesson_metrics(lesson: Lesson | None) -> dict[str, float]:
    """Agreement with the person on the half held out, before the judges were taught and after."""
    if lesson is None or lesson.before is None or lesson.after is None:
        return {}
    metrics = {"judge/taught": float(lesson.used), f"{PERSON}_before": lesson.before.value}
    return metrics | {f"{PERSON}_after": lesson.after.value}


def control_metrics(controls: Controls | None) -> dict[str, float]:
    """By name; what could not be scored has none."""
    shares = {} if controls is None else dataclasses.asdict(controls)
    return {f"judge/control_{name}": float(value) for name, value in shares.items() if value is not None}
