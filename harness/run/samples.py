"""What a run writes in the end, and measures of it that cost nothing."""

from contextlib import nullcontext

from harness.config.paths import MLRUNS
from harness.config.schema import Config
from harness.data.units import lines
from harness.evaluation.measures import adapter_names, measure_samples, read_authors
from harness.files import make_folder, one_at_a_time
from harness.machine.device import memory_use
from harness.machine.failures import watchdog_said
from harness.models.adapter import loaded
from harness.models.adapter_files import AdapterFiles
from harness.models.tokenizer import Tokenizer
from harness.run.context import RunContext
from harness.sampling.prompts import Prompt, variants
from harness.sampling.samples import Origin, Planned, Sample, bare_base, read_samples, write_in_order
from harness.sampling.write import plan, write
from harness.tracking import run_folder


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


def write_samples(context: RunContext, adapter: AdapterFiles | None, iteration: int) -> list[Sample]:
    """Texts on the fixed prompts by the best checkpoint, read back from disk."""
    settings, base, file = context.config.generate, context.inputs.base, context.folder / run_folder.SAMPLES
    file.unlink(missing_ok=True)
    if not settings.prompts:
        return []
    context.display.say(f"writing {len(settings.prompts)} samples with the checkpoint of update {iteration}:")
    if base.caveat:
        context.display.say(base.caveat)
    source = None if adapter is None else adapter.source
    origin = Origin(base=base.path, adapter=source, run=context.run.run_id, iteration=iteration, scale=settings.scale)
    planned = plan_samples(context.config, base.tokenizer, origin)
    written: dict[str, Sample] = {}
    with watchdog_said(), nullcontext() if adapter is None else loaded(base.model, adapter, scale=settings.scale):
        for entry in write(base.model, base.tokenizer, planned, settings, context.display.say):
            written[entry.id] = entry
            context.display.say(f"  {entry.theme}: {' / '.join(map(str.strip, lines(entry.text)))[:60]}")
    context.totals["memory/sampling_peak_gb"] = memory_use().peak
    samples = [written[each.id] for each, _ in planned]  # in the prompts' order, which is not that of finishing
    write_in_order(file, samples)
    context.run.artifact(file.name)
    rows = [{"theme": entry.theme, "text": entry.text, "iteration": entry.iteration} for entry in samples]
    context.run.table(rows, run_folder.SAMPLES_TABLE)
    return samples


def base_texts(context: RunContext) -> list[Sample]:
    """What the bare base writes on the same prompts: once for all runs that ask the same.

    One on each, or as many as a judge needs for anchors.
    """
    judge = context.config.judge
    n = judge.anchors_per_theme if judge.wanted and judge.anchors is None else 1
    base, settings = context.inputs.base, context.config.generate
    planned = plan_samples(context.config, base.tokenizer, bare_base(base.path), n)
    ids = [each.id for each, _ in planned]
    file = MLRUNS / "cache" / "base_texts" / f"{base.revision[:16]}.jsonl"
    make_folder(file.parent)
    with one_at_a_time(file.with_suffix(".lock")):
        there = {entry.id: entry for entry in read_samples(file)} if file.exists() else {}
        missing = [each for each in planned if each[0].id not in there]
        if missing:
            context.display.say(
                f"writing {len(missing)} texts with the base alone, to compare with; kept for other runs"
            )
            written = write(base.model, base.tokenizer, missing, settings, context.display.say)
            there |= {entry.id: entry for entry in written}
            write_in_order(file, list(there.values()))
    return [there[each] for each in ids]


def measure_texts(context: RunContext, samples: list[Sample], beside: list[Sample]) -> dict[str, float]:
    """Measures of the run's texts, by the metric's name."""
    if not samples:
        return {}
    names = adapter_names(samples)
    authors = read_authors(context.config.data)
    first = [entry for entry in beside if entry.index == 0]
    return measure_samples(samples, authors, first, names).metrics(next(iter(names.values())))
