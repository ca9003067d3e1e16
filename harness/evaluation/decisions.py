"""A person's decisions on samples, and how far the judges agree with them."""

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.data.units import units
from harness.errors import HarnessError
from harness.evaluation.contest import Judgement
from harness.judging.agreement import people_by_judge, with_people
from harness.judging.decided import Decided
from harness.sampling.samples import Sample


def read_decisions(path: str | None) -> dict[str, str]:
    """By the id of the sample.

    Raises:
        HarnessError: naming the line that is none.
    """
    return {sample: decision for sample, decision, _ in _records(path)}


def read_decided(path: str | None, samples: Sequence[Sample] = ()) -> list[Decided]:
    """Each decision with its text: that of its own line, as harness.review writes it, or of the sample with its id.

    Of a sample the last decision counts; one whose text is nowhere is left out.

    Raises:
        HarnessError: naming the line that is none.
    """
    by_id = {sample.id: sample for sample in samples}
    found: dict[str, Decided] = {}
    for sample, decision, record in _records(path):
        written = by_id.get(sample)
        theme, text = record.get("theme"), record.get("text")
        if written is not None:
            theme, text = written.theme, written.text
        if isinstance(theme, str) and isinstance(text, str) and text.strip():
            found[sample] = Decided(sample, theme, text, decision, len(units(text)))
    return list(found.values())


def _records(path: str | None) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Id, decision and all that stands on the line."""
    if path is None:
        return
    file = Path(path).expanduser()
    if not file.is_file():
        raise HarnessError(f"judge.decisions={path} is not there; leave it out, or give a file of decisions")
    try:
        lines = file.read_text("utf-8-sig").split("\n")  # not splitlines(): a text may hold other line separators
    except (ValueError, OSError) as error:
        raise HarnessError(f"judge.decisions={path} must be JSON lines in UTF-8: {error}; save it so") from error
    for number, line in enumerate(lines, start=1):
        try:
            record = json.loads(line) if line.strip() else None
            if record is not None:
                yield str(record["id"]), str(record["decision"]), record
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise HarnessError(f'{file}:{number} must be {{"id": …, "decision": …}}: {error!r}') from error


def compared_with_people(judgement: Judgement, decisions: Mapping[str, str]) -> Judgement:
    """The judgement with that agreement, of all judges and of each, where there are decisions enough.

    Of judges that were taught, only what they were not taught by counts.
    """
    verdicts, lesson = judgement.contest.verdicts, judgement.lesson
    if lesson is not None:
        verdicts = [*verdicts, *lesson.counting]
    if lesson is not None and lesson.used:
        decisions = {sample: decisions[sample] for sample in lesson.held_out if sample in decisions}
    agreement = with_people(verdicts, decisions)
    if agreement is None:
        return judgement
    return dataclasses.replace(
        judgement,
        agreements=[*judgement.agreements, agreement],
        person=agreement,
        person_by_judge=people_by_judge(verdicts, decisions),
    )
