"""What an export is measured by: the same rows and the same prompts for the bare base, the adapter and the export.

The rows are the run's validation rows; where there are none, the adapter's own greedy texts. Knows how to ask a model.
Does not know what was exported, or when two readings agree.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from harness.config.schema import GenerateConfig
from harness.data.dataset import Row
from harness.data.thinking import said_after
from harness.errors import HarnessError
from harness.models.adapter import loaded
from harness.models.base import Base
from harness.releasing.export.subject import Subject
from harness.releasing.measured import losses_by_row
from harness.sampling.prompts import Prompt, Variant
from harness.sampling.samples import Planned, Sample, bare_base
from harness.sampling.write import plan, write

_FIXED = ["Write two sentences about a river.", "What is a lamp for?", "母亲", "Tell me something about autumn."]
_PROMPTS = 8  # at most so many of the run's
_TOKENS = 96  # of a text where no run says how many
_BATCH = 8


@dataclass(frozen=True, kw_only=True)
class Reading:
    """`lines`: the rows' numbers; `sums`: nats [rows]; `targets`: tokens [rows]; `texts`: greedy, one a prompt."""

    lines: NDArray[np.int64]
    sums: NDArray[np.float64]
    targets: NDArray[np.int64]
    texts: list[str]

    @property
    def loss(self) -> float:
        """Nats a token."""
        return float(self.sums.sum() / self.targets.sum())


class Reader(Protocol):
    """A model of another library: nats of a row, greedy tokens after a prompt's."""

    def loss(self, row: Row) -> float: ...
    def write(self, ids: list[int], max_tokens: int) -> list[int]: ...


@dataclass(frozen=True, kw_only=True)
class Asking:
    """How prompts are made of themes, as the run's record says. `variant`: its first."""

    variant: Variant
    system: str | None
    fields: dict[str, str]
    themes: Sequence[str]
    settings: GenerateConfig

    @property
    def by_chat_alone(self) -> bool:
        """Whether a prompt is the model's chat template around the theme, and nothing else."""
        return self.variant.template == "{chat}"


def asking_of(subject: Subject, prompts: Sequence[str]) -> Asking:
    """`prompts`: the user's, in the place of the run's."""
    config = subject.config
    if config is None:
        variant = Variant("chat", 0, "{chat}")
        settings = GenerateConfig(
            prompts=[], max_tokens=_TOKENS, temperature=0, top_p=1, seed=0, scale=1, batch_size=_BATCH
        )
        return Asking(variant=variant, system=None, fields={}, themes=list(prompts) or _FIXED, settings=settings)
    name, template = next(iter(config.prompt.templates.items()))
    return Asking(
        variant=Variant(name, 0, template),
        system=config.data.system,
        fields=dict(config.prompt.fields),
        themes=list(prompts) or config.generate.prompts[:_PROMPTS] or _FIXED,
        settings=dataclasses.replace(config.generate, temperature=0, top_p=1),
    )


class Yardstick:
    """Reads models. `on` says what the losses are of; `attached`: what the adapter on its base makes of it.

    Raises:
        HarnessError: when that is no number.
    """

    def __init__(self, subject: Subject, asking: Asking) -> None:
        self._subject, self.asking = subject, asking
        self._batch_size = _BATCH if subject.config is None else subject.config.train.batch_size
        tokenizer = subject.base.tokenizer
        self.planned: list[tuple[Planned, Prompt]] = plan(
            tokenizer,
            bare_base(subject.base_name),
            asking.themes,
            [asking.variant],
            asking.settings,
            n=1,
            system=asking.system,
            fields=asking.fields,
        )
        rows = list(subject.rows)
        self.on = f"{len(rows)} validation rows"
        self.attached = self._attached(rows)

    @property
    def prompts(self) -> list[str]:
        """The whole prompts, in the order of the texts."""
        return [planned.prompt for planned, _ in self.planned]

    def _attached(self, rows: list[Row]) -> Reading:
        """Of the adapter on its base, which the others are compared with."""
        base = self._subject.base
        with loaded(base.model, self._subject.adapter):
            samples = self._written(base)
            if not rows:
                rows = _rows_of(base, self.planned, samples)
                self.on = f"the adapter's own {len(rows)} greedy texts"
            self._rows = rows
            reading = self._read(base, [sample.text for sample in samples])
        if not np.isfinite(reading.sums).all():
            raise HarnessError(
                f"the loss of {self._subject.adapter.source} on its base is no number, so there is nothing to compare "
                "an export with; choose another checkpoint"
            )
        return reading

    def of(self, base: Base) -> Reading:
        """Of a model as it stands."""
        return self._read(base, [sample.text for sample in self._written(base)])

    def of_other(self, model: Reader) -> Reading:
        """Of what another library made of the export."""
        tokenizer, limit = self._subject.base.tokenizer, self.asking.settings.max_tokens
        by_line = {row.line: row for row in self._rows}
        sums = np.array([model.loss(by_line[int(line)]) for line in self.attached.lines])
        texts = []
        for _, prompt in self.planned:
            written = tokenizer.decode(model.write(prompt.ids(tokenizer), limit))
            texts.append(said_after(prompt.text, written).answer.strip())
        return Reading(lines=self.attached.lines, sums=sums, targets=self.attached.targets, texts=texts)

    def losses_of(self, base: Base) -> Reading:
        """Without texts."""
        return self._read(base, [])

    def _read(self, base: Base, texts: list[str]) -> Reading:
        losses = losses_by_row(base, self._rows, self._batch_size)
        sums = losses.sums.astype(np.float64)
        return Reading(lines=losses.lines, sums=sums, targets=losses.targets, texts=texts)

    def _written(self, base: Base) -> list[Sample]:
        """In the order of the plan."""
        place = {planned.id: number for number, (planned, _) in enumerate(self.planned)}
        samples = list(write(base.model, base.tokenizer, self.planned, self.asking.settings))
        return sorted(samples, key=lambda sample: place[sample.id])


def _rows_of(base: Base, planned: Sequence[tuple[Planned, Prompt]], samples: Sequence[Sample]) -> list[Row]:
    """Each prompt with its text, of which the text is what counts; an end token stands for one that wrote nothing."""
    rows = []
    for number, ((_, prompt), sample) in enumerate(zip(planned, samples, strict=True), start=1):
        asked = prompt.ids(base.tokenizer)
        said = base.tokenizer.encode(sample.text, special=False).ids or [base.tokenizer.end_id]
        learn = np.arange(len(asked) + len(said)) >= len(asked)
        rows.append(Row(np.array([*asked, *said], np.int32), learn, number))
    return rows
