"""A person's decisions on samples, and how far the judges agree with them."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path

from harness.errors import HarnessError
from harness.evaluation.contest import Judgement
from harness.judging.agreement import people_by_judge, with_people


def read_decisions(path: str | None) -> dict[str, str]:
    """By the id of the sample.

    Raises:
        HarnessError: naming the line that is none.
    """
    if path is None:
        return {}
    file = Path(path).expanduser()
    if not file.is_file():
        raise HarnessError(f"judge.decisions={path} is not there; leave it out, or give a file of decisions")
    try:
        lines = file.read_text("utf-8-sig").split("\n")  # not splitlines(): a text may hold other line separators
    except (ValueError, OSError) as error:
        raise HarnessError(f"judge.decisions={path} must be JSON lines in UTF-8: {error}; save it so") from error
    decisions = {}
    for number, line in enumerate(lines, start=1):
        try:
            record = json.loads(line) if line.strip() else None
            if record is not None:
                decisions[str(record["id"])] = str(record["decision"])
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise HarnessError(f'{file}:{number} must be {{"id": …, "decision": …}}: {error!r}') from error
    return decisions


def compared_with_people(judgement: Judgement, decisions: Mapping[str, str]) -> Judgement:
    """The judgement with that agreement, of all judges and of each, where there are decisions enough."""
    verdicts = judgement.contest.verdicts
    agreement = with_people(verdicts, decisions)
    if agreement is None:
        return judgement
    return dataclasses.replace(
        judgement,
        agreements=[*judgement.agreements, agreement],
        person=agreement,
        person_by_judge=people_by_judge(verdicts, decisions),
    )
