"""What a run writes in the end, and what is found of it: measures that cost nothing, and a judge's."""

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from harness.config.paths import MLRUNS
from harness.config.schema import Config
from harness.errors import HarnessError, reason
from harness.files import make_folder, one_at_a_time
from harness.judgement import (
    anchor_entries,
    calls_of,
    entries_of,
    judge_against_anchors,
    rubric_of,
    verdict_rows,
    write_rubric,
)
from harness.judging.agreement import between_judges
from harness.judging.anchors import Measured as Judged
from harness.judging.blocks import Entry
from harness.llm.spending import Spending
from harness.measuring import adapter_names, measure_samples, read_authors
from harness.models.adapter import AdapterFiles, loaded
from harness.models.tokenizer import Tokenizer
from harness.sampling.prompts import Prompt, variants
from harness.sampling.samples import Origin, Planned, Sample, marked, read_samples, write_in_order
from harness.sampling.write import plan, write
from harness.tracking.overview import DISAGREEMENT, UNSCORED, WIN_RATE, WIN_RATE_ERROR
from harness.work import Work

SAMPLES_TABLE, VERDICTS_TABLE = "samples.json", "verdicts.json"
RUBRIC_FILE, CALLS_FILE = "rubric.yaml", "judge_calls.json"


def plan_samples(config: Config, tokenizer: Tokenizer, origin: Origin, n: int = 1) -> list[tuple[Planned, Prompt]]:
    """Texts on each of generate.prompts, by the first of prompt.templates."""
    first = variants(config.prompt, "all")[:1]
    return plan(
        tokenizer,
        origin,
        config.generate.prompts,
        first,
        config.generate,
        n=n,
        system=config.data.system,
        fields=config.prompt.fields,
    )


def write_samples(work: Work, adapter: AdapterFiles | None, iteration: int) -> list[Sample]:
    """Texts on the fixed prompts by the best checkpoint, read back from disk."""
    settings, base, file = work.config.generate, work.material.base, work.folder / "samples.jsonl"
    file.unlink(missing_ok=True)
    if not settings.prompts:
        return []
    work.display.say(f"writing {len(settings.prompts)} samples with the checkpoint of update {iteration}:")
    source = None if adapter is None else adapter.source
    origin = Origin(base.path, source, work.run.run_id, iteration, settings.scale)
    planned = plan_samples(work.config, base.tokenizer, origin)
    written: dict[str, Sample] = {}
    with nullcontext() if adapter is None else loaded(base.model, adapter, scale=settings.scale):
        for entry in write(base.model, base.tokenizer, planned, settings):
            written[entry.id] = entry
            work.display.say(f"  {entry.theme}: {' / '.join(entry.text.split())[:60]}")
    samples = [written[each.id] for each, _ in planned]  # in the prompts' order, which is not that of finishing
    write_in_order(file, samples)
    work.run.artifact(file.name)
    rows = [{"theme": entry.theme, "text": entry.text, "iteration": entry.iteration} for entry in samples]
    work.run.table(rows, SAMPLES_TABLE)
    return samples


def base_texts(work: Work) -> list[Sample]:
    """What the bare base writes on the same prompts: once for all runs that ask the same.

    One on each, or as many as a judge needs for anchors.
    """
    judge = work.config.judge
    n = judge.anchors_per_theme if judge.wanted and judge.anchors is None else 1
    base, settings = work.material.base, work.config.generate
    planned = plan_samples(work.config, base.tokenizer, Origin(base.path, None, None, None, 1.0), n)
    ids = [each.id for each, _ in planned]
    file = MLRUNS / "cache" / "base_texts" / f"{base.revision[:16]}.jsonl"
    make_folder(file.parent)
    with one_at_a_time(file.with_suffix(".lock")):
        there = {entry.id: entry for entry in read_samples(file)} if file.exists() else {}
        missing = [each for each in planned if each[0].id not in there]
        if missing:
            work.display.say(f"writing {len(missing)} texts with the base alone, to compare with; kept for other runs")
            there |= {entry.id: entry for entry in write(base.model, base.tokenizer, missing, settings)}
            write_in_order(file, list(there.values()))
    return [there[each] for each in ids]


def measure_texts(work: Work, samples: list[Sample], beside: list[Sample]) -> dict[str, float]:
    """Measures of the run's texts, by the metric's name."""
    if not samples:
        return {}
    names = adapter_names(samples)
    authors = read_authors(work.config.data)
    first = [entry for entry in beside if entry.index == 0]
    return measure_samples(samples, authors, first, names).metrics(next(iter(names.values())))


@dataclass(frozen=True)
class Found:
    """`metrics` by name; `pruned`: others were better on the same themes."""

    metrics: dict[str, float]
    pruned: bool = False


def judge_texts(work: Work, samples: list[Sample], beside: list[Sample]) -> Found:
    """The share of frozen anchors that the texts beat. A run that could not be judged says so and has no score."""
    judge = work.config.judge
    if not judge.wanted or not samples:
        return Found({})
    entries = entries_of(marked(samples), adapter_names(samples))
    anchors = _anchors(work, beside)
    if judge.serve:
        work.material.base.let_go()  # the judge needs the memory
    try:
        judged, spending = judge_against_anchors(judge, entries, anchors, work.display, report=work.contact.judged)
    except HarnessError as error:
        work.display.say(f"warning: not judged: {error}")
        work.run.tags({UNSCORED: reason(error)[:500]})
        return Found({})
    _keep(work, judged)
    return Found(_scored(work, judged, spending), judged.pruned)


def _anchors(work: Work, beside: list[Sample]) -> Mapping[str, list[Entry]]:
    judge = work.config.judge
    frozen = beside if judge.anchors is None else read_samples(Path(judge.anchors).expanduser())
    anchors = anchor_entries(frozen, judge.anchors_per_theme)
    without = [theme for theme in work.config.generate.prompts if theme not in anchors]
    if len(without) == len(work.config.generate.prompts):
        raise HarnessError(f"judge.anchors={judge.anchors} has no text on any of generate.prompts; write some on them")
    if without:
        work.display.say(f"warning: no anchors on {', '.join(without)}: not judged there")
    return anchors


def _keep(work: Work, judged: Judged) -> None:
    """The rubric, each verdict and each call, in the run's folder and in MLflow."""
    rubric = rubric_of(work.config.judge)
    write_rubric(work.folder / RUBRIC_FILE, rubric)
    work.run.artifact(RUBRIC_FILE)
    work.run.tags({"rubric": rubric.digest})
    if judged.verdicts:
        work.run.table(verdict_rows(judged.verdicts), VERDICTS_TABLE)
    if calls := calls_of(judged.verdicts):
        work.run.traces(calls, CALLS_FILE)


def _scored(work: Work, judged: Judged, spending: Spending) -> dict[str, float]:
    rate = judged.rate
    found = {
        "judge/unscored": float(rate.unscored),
        "judge/calls": float(spending.calls),
        "judge/calls_cached": float(spending.cached),
        "judge/tokens": float(spending.tokens_in + spending.tokens_out),
        "judge/cost": spending.cost,
    }
    why = judged.ended or "the judge's replies could not be read"
    if rate.value is None:
        work.display.say(f"warning: not judged: {rate.unscored} of {rate.texts} texts are unscored ({why})")
        work.run.tags({UNSCORED: f"{rate.unscored} of {rate.texts} texts: {why}"})
        return found
    found[WIN_RATE] = rate.value
    error = ""
    if rate.stderr is not None:
        found[WIN_RATE_ERROR] = rate.stderr
        error = f" ± {rate.stderr:.2f}"
    agreement = between_judges(judged.verdicts)
    if agreement is not None:
        found["judge/agreement"] = agreement.value
        work.display.say(agreement.said)
        if agreement.low:
            work.run.tags({DISAGREEMENT: agreement.said})
    left = f"; {rate.unscored} of {rate.texts} texts unscored ({why})" if rate.unscored else ""
    work.display.say(f"judge/win_rate {rate.value:.2f}{error} over {len(rate.by_theme)} themes{left}")
    return found
