"""A file of samples measured and judged: in the terminal, as JSON, and as a run in MLflow."""

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from harness.config.load import flat
from harness.config.schema import JudgeCommand
from harness.console.interrupt import told
from harness.console.progress import Display
from harness.data.authored import by_theme
from harness.data.lines import read_lines
from harness.errors import HarnessError, reason
from harness.evaluation.measures import Measured, adapter_names, measure_samples, read_authors
from harness.evaluation.panel import (
    Judgement,
    agreement_with_people,
    calls_of,
    control_metrics,
    entries_of,
    judge_contest,
    read_decisions,
    rubric_of,
    trust,
    verdict_rows,
    write_rubric,
)
from harness.files import write_json
from harness.machine.provenance import git_state
from harness.sampling.samples import Origin, Sample, marked, read_samples
from harness.tracking import run_folder
from harness.tracking.runs import TrackedRun
from harness.tracking.store import open_store, open_writable_store

_MEASURES = (
    ("length", "units", "{:.0f}"),
    ("line_length", "line", "{:.1f}"),
    ("sentence_variation", "rhythm", "{:.2f}"),
    ("own_words", "own", "{:.0%}"),
    ("novel", "novel", "{:.0%}"),
    ("memorised_run", "memory", "{:.1f}"),
    ("loops", "loops", "{:.0%}"),
    ("refusals", "refused", "{:.0%}"),
)


def measure_and_judge(command: JudgeCommand, out: Path | None, display: Display) -> None:
    """Measure; with a judge, rank and keep all of it in MLflow.

    Raises:
        HarnessError: when the samples or the author's texts cannot be read, or the judge cannot be asked.
    """
    samples = marked(read_samples(Path(command.samples).expanduser()))
    if not samples:
        raise HarnessError(f"samples={command.samples} has no sample; write some with harness.generate")
    decisions = read_decisions(command.judge.decisions)
    names = adapter_names(samples)
    base = [entry for entry in samples if entry.adapter is None]
    measured = measure_samples(samples, read_authors(command.data), base, names)
    _show_measures(measured, command.data.path)
    for line in _trained_on_others(command, samples):
        display.say(f"warning: {line}")
    found: dict[str, Any] = {"measures": measured.to_json()}
    if command.judge.wanted:
        found |= _judged(command, samples, names, decisions, display)
    if out is not None:
        write_json(out, found)
        display.say(f"all of it: {out}")


def _judged(
    command: JudgeCommand,
    samples: Sequence[Sample],
    names: dict[Origin, str],
    decisions: dict[str, str],
    display: Display,
) -> dict[str, Any]:
    entries = entries_of(samples, names)
    if len({entry.adapter for entry in entries}) < 2:
        raise HarnessError(f"a ranking needs texts of two adapters, but samples={command.samples} has one")
    training = by_theme(read_lines(Path(command.data.path).expanduser() / "train.jsonl", command.data.labels))
    store = open_writable_store(command.tracking)
    name = f"judge {len(names)} adapters"
    tags = {"kind": "judge", "mlflow.source.name": "harness.judge"} | git_state()
    with TrackedRun.start(store, command.name, name=name, tags=tags) as run:
        try:
            judgement = judge_contest(command.judge, entries, training, display)
            judgement = agreement_with_people(judgement, decisions)
            found = _to_json(command, judgement, samples, names)
            _keep(run, command, judgement, found, samples, names)
        except KeyboardInterrupt as error:
            run.finish("KILLED", told(error).why)
            display.say("what was paid for is kept: the same command goes on")
            raise
        except BaseException as error:
            run.finish("FAILED", reason(error))
            raise
        run.finish("FINISHED")
    _show_standings(judgement, display)
    display.say(f"in MLflow: run {run.run_id} of experiment {command.name}")
    return found


def _to_json(
    command: JudgeCommand, judgement: Judgement, samples: Sequence[Sample], names: dict[Origin, str]
) -> dict[str, Any]:
    contest, spending = judgement.contest, judgement.spending
    standings = contest.standings
    origins = {name: dataclasses.asdict(origin) for origin, name in names.items()}
    ratings = [] if standings is None else standings.ratings
    rubric = rubric_of(command.judge)
    return {
        "rubric": dataclasses.asdict(rubric) | {"digest": rubric.digest},
        "judges": sorted({verdict.judge for verdict in judgement.verdicts}),
        "ranking": [origins[rating.adapter] | dataclasses.asdict(rating) for rating in ratings],
        "undecided": [] if standings is None else standings.undecided,
        "top": _top(judgement, samples),
        "ended": contest.ended,
        "unscored": sum(verdict.unscored is not None for verdict in judgement.verdicts),
        "position": None if standings is None else dataclasses.asdict(standings.first_place),
        "length": None if standings is None else dataclasses.asdict(standings.length),
        "controls": None if judgement.controls is None else dataclasses.asdict(judgement.controls),
        "agreement": [dataclasses.asdict(each) for each in judgement.agreements],
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
            for each, marks in judgement.scores.items()
        },
        "verdicts": [dataclasses.asdict(verdict) for verdict in judgement.verdicts],
    }


def _top(judgement: Judgement, samples: Sequence[Sample]) -> dict[str, list[dict[str, Any]]]:
    """On each theme the texts that were ranked first in a block, those by better adapters before others."""
    standings = judgement.contest.standings
    if standings is None:
        return {}
    by_id = {entry.id: entry for entry in samples}
    values = {rating.adapter: rating.value for rating in standings.ratings}
    found: dict[str, list[dict[str, Any]]] = {}
    firsts = [each for each in judgement.contest.verdicts if each.unscored is None]
    for verdict in sorted(firsts, key=lambda each: -values[each.adapters[each.order[0]]]):
        first = verdict.order[0]
        entry = by_id[verdict.ids[first]]
        of_theme = found.setdefault(verdict.theme, [])
        if entry.id not in [other["id"] for other in of_theme]:
            of_theme.append({"id": entry.id, "adapter": verdict.adapters[first], "text": entry.text})
    return found


def _keep(
    run: TrackedRun,
    command: JudgeCommand,
    judgement: Judgement,
    found: dict[str, Any],
    samples: Sequence[Sample],
    names: dict[Origin, str],
) -> None:
    """Metrics with their errors, the samples with verdicts, the rubric, the calls."""
    settings = {key: value for key, value in flat(command).items() if not key.startswith("tracking.")}
    run.params(settings | {"judge.rubric": rubric_of(command.judge).digest})
    run.metrics(0, _metrics(judgement))
    agreements = "; ".join(agreement.said for agreement in judgement.agreements)
    run.tags({"ended": judgement.contest.ended} | ({"agreement": agreements} if agreements else {}))
    write_rubric(run.folder / run_folder.RUBRIC, rubric_of(command.judge))
    write_json(run.folder / run_folder.RANKING, found)
    for file in (run_folder.RUBRIC, run_folder.RANKING):
        run.artifact(file)
    places = _places(judgement)
    rows = [
        {
            "theme": entry.theme,
            "adapter": names[entry.origin],
            "variant": entry.variant,
            "text": entry.text,
            "places": ", ".join(places.get(entry.id, [])),
            "duplicate_of": entry.duplicate_of or "",
        }
        for entry in samples
    ]
    run.table(rows, run_folder.SAMPLES_TABLE)
    if judgement.verdicts:
        run.table(verdict_rows(judgement.verdicts), run_folder.VERDICTS_TABLE)
    if calls := calls_of(judgement.verdicts):
        run.traces(calls, run_folder.CALLS)


def _places(judgement: Judgement) -> dict[str, list[str]]:
    """Of each text the places that it came to, such as 2/6."""
    found: dict[str, list[str]] = {}
    for verdict in judgement.contest.verdicts:
        for place, at in enumerate(verdict.order, start=1):
            found.setdefault(verdict.ids[at], []).append(f"{place}/{len(verdict.order)}")
    return found


def _metrics(judgement: Judgement) -> dict[str, float]:
    """By name; an adapter's rating by its place."""
    spending, standings = judgement.spending, judgement.contest.standings
    found = {
        "judge/unscored": float(sum(verdict.unscored is not None for verdict in judgement.verdicts)),
        "judge/calls": float(spending.calls),
        "judge/calls_cached": float(spending.cached),
        "judge/tokens": float(spending.tokens_in + spending.tokens_out),
        "judge/cost": spending.cost,
    }
    if standings is not None:
        for rating in standings.ratings:
            name = "".join(each if each.isalnum() or each in "-_. " else "_" for each in rating.adapter)
            found |= {f"judge/rating {name}": rating.value, f"judge/rating_stderr {name}": rating.stderr}
        for name, effect in (("position", standings.first_place), ("length", standings.length)):
            found |= {f"judge/{name}": effect.value, f"judge/{name}_stderr": effect.stderr}
    found |= control_metrics(judgement.controls)
    for number, agreement in enumerate(judgement.agreements):
        found["judge/agreement" + (f"_{number + 1}" if number else "")] = agreement.value
    return found


def _show_standings(judgement: Judgement, display: Display) -> None:
    contest, spending = judgement.contest, judgement.spending
    if contest.standings is None:
        display.say(f"no ranking: {contest.ended}")
    else:
        shown = Table(
            "", "adapter", "rating", "95 %", "blocks", title="who wrote better", title_justify="left", box=SIMPLE
        )
        for rating in contest.standings.ratings:
            interval = f"{rating.low:+.2f} … {rating.high:+.2f}"
            shown.add_row(
                str(rating.tie),
                rating.adapter,
                f"{rating.value:+.2f} ± {rating.stderr:.2f}",
                interval,
                str(rating.blocks),
            )
        Console(highlight=False, markup=False).print(shown)
        print("adapters of one number cannot be told apart; ratings are logits about the mean")
    unscored = sum(verdict.unscored is not None for verdict in judgement.verdicts)
    if unscored:
        why = next(verdict.unscored for verdict in judgement.verdicts if verdict.unscored is not None)
        print(f"{unscored} of {len(judgement.verdicts)} questions are unscored; the first: {why}")
    for line in trust(judgement):
        print(line)
    cost = f", {spending.cost:.2f}" if spending.cost else ""
    tokens = spending.tokens_in + spending.tokens_out
    print(f"{spending.calls} calls and {tokens} tokens paid{cost}, {spending.cached} from the cache; {contest.ended}")


def _trained_on_others(command: JudgeCommand, samples: Sequence[Sample]) -> Iterator[str]:
    """Where a run of this store was trained on other lines than the texts are measured against."""
    runs = open_store(command.tracking).runs
    here = Path(command.data.path).expanduser().resolve()
    for run in dict.fromkeys(entry.run for entry in samples if entry.run is not None):
        config = runs / run / run_folder.CONFIG
        if config.exists():
            there = str(yaml.safe_load(config.read_text("utf-8"))["data"]["path"])
            if Path(there).expanduser().resolve() != here:
                yield f"run {run} was trained on {there}, but texts are measured against {here}; say data.path={there}"


def _show_measures(measured: Measured, path: str) -> None:
    shown = Table(title="measures", title_justify="left", box=SIMPLE)
    shown.add_column("", no_wrap=True)
    for _, head, _ in _MEASURES:
        shown.add_column(head, justify="right", no_wrap=True)
    rows = measured.references | {name: dataclasses.asdict(each) for name, each in measured.by_adapter.items()}
    for name, values in rows.items():
        shown.add_row(name, *(form.format(values[key]) if key in values else "–" for key, _, form in _MEASURES))
    Console(highlight=False, markup=False).print(shown)
    print(
        "units: characters of Chinese, words of other languages; line: units a line; rhythm: variation of the lengths "
        "of sentences; own: words that are the author's; novel: not in the prompt; memory: longest run taken from the "
        f"training texts in {path}"
    )
