"""What samples measure, adapter by adapter, beside the training texts, held-out texts and the base's own."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.config.schema import DataConfig
from harness.data.authored import authored, by_theme
from harness.data.lines import read_lines
from harness.sampling.samples import Origin, Sample
from harness.textstats.corpus import Corpus
from harness.textstats.measures import Diversity, Measures, Written, diversity, means, measure

_MEMORY = ("memorised", "memorised_run")
_REFERENCES = 200  # texts of the author's, evenly chosen, are enough for a mean
TRAINING, HELD_OUT, BASE = "training", "held out", "base"


@dataclass(frozen=True)
class Authors:
    """Texts of the author's: trained on, and held out."""

    training: list[str]
    held_out: list[str]


@dataclass(frozen=True, kw_only=True)
class SampleMeasures:
    """`references`: the same means for texts by no adapter; for those trained on, memory would say nothing."""

    by_sample: dict[str, Measures]
    by_adapter: dict[str, Measures]
    diversity: dict[str, Diversity]
    references: dict[str, dict[str, float]]

    def metrics(self, adapter: str) -> dict[str, float]:
        """By the names under which they are logged."""
        metrics = {f"text/{name}": value for name, value in dataclasses.asdict(self.by_adapter[adapter]).items()}
        varied = dataclasses.asdict(self.diversity[adapter])
        metrics |= {f"text/diversity_{name}": value for name, value in varied.items() if value is not None}
        for name, reference in self.references.items():
            if name != TRAINING:
                key = f"text/memorised_over_{name.replace(' ', '_')}"
                metrics[key] = metrics["text/memorised"] - reference["memorised"]
        return metrics

    def to_json(self) -> dict[str, Any]:
        adapters = {
            name: dataclasses.asdict(each) | {"diversity": dataclasses.asdict(self.diversity[name])}
            for name, each in self.by_adapter.items()
        }
        return {"adapters": adapters, "references": self.references}


def read_authors(data: DataConfig) -> Authors:
    """From train.jsonl and, where there is one, valid.jsonl."""
    folder = Path(data.path).expanduser()
    valid = folder / "valid.jsonl"
    held_out = authored(read_lines(valid, data.labels)) if valid.exists() else []
    return Authors(authored(read_lines(folder / "train.jsonl", data.labels)), held_out)


def read_training(data: DataConfig) -> dict[str, str]:
    """What the author wrote on each theme of train.jsonl."""
    lines = read_lines(Path(data.path).expanduser() / "train.jsonl", data.labels)
    return by_theme(lines, system=data.system)


def measure_samples(
    samples: Sequence[Sample], authors: Authors, base: Sequence[Sample], names: Mapping[Origin, str]
) -> SampleMeasures:
    """`names`: of the adapters; `base`: what the bare base wrote, which may be among the samples."""
    corpus = Corpus(authors.training, [sample.text for sample in base])
    by_sample = {sample.id: measure(_written(sample), corpus) for sample in [*samples, *base]}
    grouped: dict[str, list[Sample]] = {}
    for sample in samples:
        grouped.setdefault(names[sample.origin], []).append(sample)
    references = {}
    for name, texts in ((TRAINING, authors.training), (HELD_OUT, authors.held_out)):
        if texts:
            some = texts[:: -(-len(texts) // _REFERENCES)]
            found = [measure(Written("", "", text), corpus, memory=name != TRAINING) for text in some]
            references[name] = dataclasses.asdict(means(found))
    for name in _MEMORY:
        references.get(TRAINING, {}).pop(name, None)
    if base:
        references[BASE] = dataclasses.asdict(means([by_sample[sample.id] for sample in base]))
    return SampleMeasures(
        by_sample={sample.id: by_sample[sample.id] for sample in samples},
        by_adapter={name: means([by_sample[sample.id] for sample in group]) for name, group in grouped.items()},
        diversity={name: diversity([_written(sample) for sample in group]) for name, group in grouped.items()},
        references=references,
    )


def adapter_names(samples: Sequence[Sample]) -> dict[Origin, str]:
    """A short name for each adapter and scale, no two alike."""
    names: dict[Origin, str] = {}
    for origin in dict.fromkeys(sample.origin for sample in samples):
        alike = sum(name.split(" #")[0] == origin.name for name in names.values())
        names[origin] = f"{origin.name} #{alike + 1}" if alike else origin.name
    return names


def _written(sample: Sample) -> Written:
    return Written(sample.theme, sample.variant, sample.text)
