"""A judgement as it is read: the ranking, the best texts, places, metrics. Computes, and neither shows nor stores."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from harness.evaluation.contest import Judgement
from harness.evaluation.records import (
    control_metrics,
    lesson_metrics,
    lesson_record,
    person_metrics,
    rubric_record,
    spending_metrics,
)
from harness.judging.ranking import Panelist
from harness.sampling.samples import Origin, Sample


def to_json(judgement: Judgement, samples: Sequence[Sample], names: Mapping[Origin, str]) -> dict[str, Any]:
    """All that was found, for a file."""
    contest, spending = judgement.contest, judgement.spending
    standings = contest.standings
    origins = {name: dataclasses.asdict(origin) for origin, name in names.items()}
    ratings = [] if standings is None else standings.ratings
    return {
        "rubric": rubric_record(judgement.rubric, judgement.verdicts),
        "judges": sorted({verdict.judge for verdict in judgement.verdicts}),
        "ranking": [origins[each.adapter] | dataclasses.asdict(each) | {"first": each.first} for each in ratings],
        "undecided": [] if standings is None else standings.undecided,
        "top": top_texts(judgement, samples),
        "ended": contest.ended,
        "unscored": len(judgement.unscored),
        "position": None if standings is None else dataclasses.asdict(standings.first_place),
        "length": None if standings is None else dataclasses.asdict(standings.length),
        "controls": None if judgement.controls is None else dataclasses.asdict(judgement.controls),
        "panel": [_panelist(each, judgement) for each in ([] if standings is None else standings.panel)],
        "taste": None if standings is None else standings.taste,
        "left_out": [] if standings is None else [dataclasses.asdict(each) for each in standings.left_out],
        "agreement": [dataclasses.asdict(each) for each in judgement.agreements],
        "stability": [dataclasses.asdict(each) for each in judgement.stability],
        "lesson": None if judgement.lesson is None else lesson_record(judgement.lesson),
        "spent": {
            "calls": spending.calls,
            "retries": spending.retries,
            "cached": spending.cached,
            "tokens_in": spending.tokens_in,
            "tokens_out": spending.tokens_out,
            "cost": spending.cost,
        },
        "scores": {
            each: {criterion: dataclasses.asdict(mark) for criterion, mark in marks.items()}
            for each, marks in judgement.marks.items()
        },
        "verdicts": [dataclasses.asdict(verdict) for verdict in judgement.verdicts],
    }


def _panelist(each: Panelist, judgement: Judgement) -> dict[str, Any]:
    """A judge of the panel, and how far it agrees with the person."""
    person = judgement.person_by_judge.get(each.judge)
    return dataclasses.asdict(each) | {
        "person": None if person is None else dataclasses.asdict(person),
        "likes": [dataclasses.asdict(like) for like in judgement.likes.get(each.judge, [])],
    }


def _panel_metrics(judgement: Judgement) -> dict[str, float]:
    """Of several judges: what each counts and likes, and how far it agrees with the person."""
    standings = judgement.contest.standings
    if standings is None or len(standings.panel) < 2:
        return {}
    metrics = {"judge/taste": standings.taste}
    for each in standings.panel:
        name = _plain(each.judge)
        metrics |= {f"judge/weight {name}": each.weight, f"judge/position {name}": each.first_place.value}
        metrics[f"judge/length {name}"] = each.length.value
        if (person := judgement.person_by_judge.get(each.judge)) is not None:
            metrics[f"judge/agreement_with_person {name}"] = person.value
    return metrics


def _plain(name: str) -> str:
    """As MLflow takes it in a metric's name."""
    return "".join(each if each.isalnum() or each in "-_. " else "_" for each in name)


def top_texts(judgement: Judgement, samples: Sequence[Sample]) -> dict[str, list[dict[str, Any]]]:
    """On each theme the texts that were ranked first in a block, those by better adapters before others."""
    standings = judgement.contest.standings
    if standings is None:
        return {}
    by_id = {sample.id: sample for sample in samples}
    values = {rating.adapter: rating.value for rating in standings.ratings}
    best: dict[str, list[dict[str, Any]]] = {}
    scored = [each for each in judgement.contest.verdicts if each.unscored is None]
    for verdict in sorted(scored, key=lambda each: -values[each.adapters[each.order[0]]]):
        first = verdict.order[0]
        sample = by_id[verdict.ids[first]]
        of_theme = best.setdefault(verdict.theme, [])
        if sample.id not in [other["id"] for other in of_theme]:
            of_theme.append({"id": sample.id, "adapter": verdict.adapters[first], "text": sample.text})
    return best


def sample_rows(judgement: Judgement, samples: Sequence[Sample], names: Mapping[Origin, str]) -> list[dict[str, str]]:
    """For MLflow's table: each sample with the places that it came to, such as 2/6."""
    places: dict[str, list[str]] = {}
    for verdict in judgement.contest.verdicts:
        for place, at in enumerate(verdict.order, start=1):
            places.setdefault(verdict.ids[at], []).append(f"{place}/{len(verdict.order)}")
    return [
        {
            "theme": sample.theme,
            "adapter": names[sample.origin],
            "variant": sample.variant,
            "text": sample.text,
            "places": ", ".join(places.get(sample.id, [])),
            "duplicate_of": sample.duplicate_of or "",
        }
        for sample in samples
    ]


def said_first(judgement: Judgement) -> str:
    """Who comes first in how many of the resamples, in a line; empty without a ranking."""
    standings = judgement.contest.standings
    ratings = [] if standings is None else sorted(standings.ratings, key=lambda each: -each.first)
    return ", ".join(f"{each.adapter} first in {each.first:.0%} of resamples" for each in ratings[:3])


def metrics_of(judgement: Judgement) -> dict[str, float]:
    """By name; an adapter's rating by its place."""
    standings = judgement.contest.standings
    metrics = {"judge/unscored": float(len(judgement.unscored))} | spending_metrics(judgement.spending)
    if standings is not None:
        for rating in standings.ratings:
            name = _plain(rating.adapter)
            metrics |= {f"judge/rating {name}": rating.value, f"judge/rating_stderr {name}": rating.stderr}
            metrics[f"judge/first {name}"] = rating.first
        for name, effect in (("position", standings.first_place), ("length", standings.length)):
            metrics |= {f"judge/{name}": effect.value, f"judge/{name}_stderr": effect.stderr}
    metrics |= control_metrics(judgement.controls) | _panel_metrics(judgement)
    for judge, told in judgement.likes.items():
        several = f" {_plain(judge)}" if len(judgement.likes) > 1 else ""
        metrics |= {f"judge/likes {like.trait}{several}": like.value for like in told}
        metrics |= {f"judge/likes_stderr {like.trait}{several}": like.stderr for like in told}
    for each in judgement.stability:
        several = f" {_plain(each.judge)}" if len(judgement.stability) > 1 else ""
        metrics[f"judge/same_when_repeated{several}"] = each.same
    metrics |= person_metrics(judgement.person) | lesson_metrics(judgement.lesson)
    for number, agreement in enumerate(judgement.agreements):
        metrics["judge/agreement" + (f"_{number + 1}" if number else "")] = agreement.value
    return metrics
