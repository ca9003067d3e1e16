"""What a generated text is remembered with, and the JSONL file of them.

A file is appended to as texts are finished, so that an interrupted command can go on; at its end it is put in order
and duplicates are marked. Knows nothing of models.
"""

import dataclasses
import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from rapidfuzz import fuzz

from harness.errors import HarnessError
from harness.files import append_json, write_text

_NEARLY_THE_SAME = 90.0  # of 100, by rapidfuzz's ratio of edits
_BEGINS = b'{"id": "'  # each line: see Sample.to_json


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Which weights wrote: the adapter's reference (None: the bare base), its run, the update it was saved after.

    `scale`: times the scale that it was trained with. `weights`: a digest of base and adapter, for what lies under a
    reference may change; None where nobody asked, or a former version wrote.
    """

    base: str
    adapter: str | None = None
    run: str | None = None
    iteration: int | None = None
    scale: float = 1.0
    weights: str | None = None

    @property
    def name(self) -> str:
        """Short, for people: the run's first digits and the update, or the adapter's last parts."""
        if self.adapter is None:
            return "base"
        of = self.run[:8] if self.run else "/".join(self.adapter.split("/")[-2:])
        name = of if self.iteration is None else f"{of}@{self.iteration}"
        return name if self.scale == 1 else f"{name}×{self.scale:g}"


def bare_base(path: str) -> Origin:
    """The base without an adapter."""
    return Origin(base=path)


@dataclass(frozen=True)
class Planned(Origin):
    """A text that is to be written: all that it depends on.

    `code`: update + the variant's place, as 1200 … 1204; `index`: which of several on the same prompt.
    """

    theme: str
    variant: str
    code: int | None
    index: int
    prompt: str
    seed: int
    temperature: float
    top_p: float
    max_tokens: int

    @cached_property
    def id(self) -> str:
        names = [field.name for field in dataclasses.fields(Planned) if field.name != "weights" or self.weights]
        values = [getattr(self, name) for name in names]  # without weights the id is that of former versions
        return hashlib.sha256(json.dumps(values).encode()).hexdigest()[:16]

    @property
    def origin(self) -> Origin:
        return Origin(**{field.name: getattr(self, field.name) for field in dataclasses.fields(Origin)})


@dataclass(frozen=True)
class Sample(Planned):
    """`text` is the answer; `thinking` what the model thought before it, without its markers.

    `duplicate_of`: the id of an earlier one on the same theme that says the same, or nearly; `likeness`: 0 to 1.
    """

    text: str
    tokens: int
    seconds: float
    finish_reason: str
    duplicate_of: str | None = None
    likeness: float | None = None
    thinking: str | None = None

    def to_json(self) -> dict[str, Any]:
        values = asdict(self)
        if self.thinking is None:
            del values["thinking"]
        return {"id": self.id, **values}


def append_sample(path: Path, entry: Sample) -> None:
    """One line, written at once, so that an interrupted command leaves whole lines."""
    append_json(path, entry.to_json())


def read_samples(path: Path, *, setting: str = "samples") -> list[Sample]:
    """All samples of a file; a last line that was cut off by a crash is not one. The file stays as it is.

    `setting`: what the file is called where it was given.

    Raises:
        HarnessError: naming the line that is no sample.
    """
    if not path.is_file():
        raise HarnessError(f"{setting}={path} is not there; write some with harness.generate out={path}")
    known = {field.name for field in dataclasses.fields(Sample)}
    samples: list[Sample] = []
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise HarnessError(f"{path} must be JSON lines, as harness.generate writes them: {error}") from error
    for number, line in enumerate(lines, start=1):
        try:
            record = json.loads(line.decode("utf-8")) if line.strip() else None
        except ValueError as error:
            if number == len(lines) and (samples or line.startswith(_BEGINS)):
                break  # half a line
            raise HarnessError(f"{path}:{number} is no sample of harness.generate: {error}") from error
        try:
            if record is not None:
                samples.append(Sample(**{key: value for key, value in record.items() if key in known}))
        except (TypeError, AttributeError) as error:
            raise HarnessError(f"{path}:{number} is no sample of harness.generate: {error}") from error
    return samples


def write_in_order(path: Path, samples: Sequence[Sample]) -> None:
    write_text(path, "".join(json.dumps(entry.to_json(), ensure_ascii=False) + "\n" for entry in samples))


def marked(samples: Iterable[Sample]) -> list[Sample]:
    """The samples, each compared with those before it on the same theme."""
    before: dict[str, list[tuple[str, Sample]]] = defaultdict(list)
    result = []
    for entry in samples:
        text = "".join(entry.text.split())
        duplicate_of, likeness = None, 0.0
        for other_text, other in before[entry.theme]:
            found = 100.0 if text == other_text else fuzz.ratio(text, other_text, score_cutoff=_NEARLY_THE_SAME)
            if found / 100 > likeness:
                duplicate_of, likeness = other.id, found / 100
        if duplicate_of is None:
            before[entry.theme].append((text, entry))
        said = round(likeness, 3) if duplicate_of else None
        result.append(dataclasses.replace(entry, duplicate_of=duplicate_of, likeness=said))
    return result
