"""Do its texts repeat what it was trained on: the measure of a run's samples, on texts of these very weights.

What a run recorded is of its best checkpoint, which need not be the one that is promoted, so texts are written anew: on
the run's own themes, as it wrote them. Knows nothing of rows as prompts (extraction.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from harness.config.schema import MemoryGate
from harness.data.authored import authored
from harness.data.dataset import Split
from harness.data.lines import read_lines
from harness.data.units import lines
from harness.models.adapter import loaded
from harness.releasing.checks.subject import NotHereError, Subject
from harness.releasing.checks.verdict import CheckKind, Verdict, left_out, not_run
from harness.sampling.prompts import variants
from harness.sampling.samples import Origin, Sample
from harness.sampling.write import plan, write
from harness.textstats.corpus import Corpus

_CHECK = CheckKind.MEMORY
_HELD_OUT = 200  # texts, evenly chosen, are enough for a mean
_WORST = 5  # texts that are named
_SHOWN = 60  # characters


@dataclass(frozen=True)
class _Taken:
    """Of a text: the longest run of units that stands in a training text, and the share of its runs of five that do."""

    sample: Sample
    longest: int
    share: float


def check_memory(subject: Subject, settings: MemoryGate, texts: Sequence[Sample] | None = None) -> Verdict:
    """The figure is the texts' share of training text, less that of held-out texts.

    `texts`: what the adapter wrote already; None: written now.
    """
    if settings.limit is None:
        return left_out(_CHECK)
    try:
        training, held_out = _authored(subject, subject.train), _held_out(subject)
    except NotHereError as error:
        return not_run(_CHECK, str(error))
    if texts is None:
        texts = texts_of(subject, settings.texts)
    if not texts:
        return not_run(_CHECK, "its run has no themes to write on; give the run generate.prompts")
    corpus = Corpus(training)
    found = [_Taken(sample, *corpus.taken(sample.text)) for sample in texts]
    share = fmean(each.share for each in found)
    usual = fmean(corpus.taken(text)[1] for text in held_out) if held_out else 0.0
    passed = share - usual <= settings.limit
    return Verdict(
        check=_CHECK,
        passed=passed,
        figure=share - usual,
        limit=settings.limit,
        said=f"{share:.1%} of {len(found)} texts stand in the training texts, of held-out texts {usual:.1%}: "
        f"{share - usual:+.3f}, limit {settings.limit:g}"
        + ("" if passed else "; take an earlier checkpoint, or train for fewer updates or at a lower scale"),
        details=_named(found),
    )


def texts_of(subject: Subject, count: int) -> list[Sample]:
    """At least `count` texts on its run's themes, as the run wrote its samples; none where it has no themes."""
    config, base = subject.recorded, subject.base
    themes = config.generate.prompts
    if not themes:
        return []
    planned = plan(
        base.tokenizer,
        Origin(base=base.path, adapter=subject.adapter.source, iteration=subject.adapter.iteration),
        themes,
        variants(config.prompt, "all")[:1],
        config.generate,
        n=-(-count // len(themes)),
        system=config.data.system,
        fields=config.prompt.fields,
    )
    with loaded(base.model, subject.adapter, scale=config.generate.scale), subject.display.texts(len(planned)) as tell:
        found = []
        for sample in write(base.model, base.tokenizer, planned, config.generate, subject.display.say):
            tell(sample.tokens)
            found.append(sample)
    return sorted(found, key=lambda sample: (themes.index(sample.theme), sample.index))


def _authored(subject: Subject, split: Split) -> list[str]:
    return authored(read_lines(split.path, subject.recorded.data.labels))


def _held_out(subject: Subject) -> list[str]:
    try:
        texts = _authored(subject, subject.valid)
    except NotHereError:
        return []
    return texts[:: -(-len(texts) // _HELD_OUT)]


def _named(found: Sequence[_Taken]) -> list[str]:
    """The worst, with how they begin."""
    worst = sorted(found, key=lambda each: (each.share, each.longest), reverse=True)[:_WORST]
    return [
        f"{each.sample.theme}: {each.share:.0%} stands in training texts, {each.longest} words or characters in one "
        f"piece: {' / '.join(map(str.strip, lines(each.sample.text)))[:_SHOWN]}"
        for each in worst
        if each.share
    ]
