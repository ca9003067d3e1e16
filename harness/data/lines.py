"""JSONL files, read line by line, each line with the place that an error can name.

Three forms of line: {"messages": [{"role", "content"}, …]}, {"prompt", "completion"}, {"text"}.
Knows nothing of tokens.
"""

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import HarnessError

ROLES = ("system", "user", "assistant", "tool")


@dataclass(frozen=True)
class Line:
    """One line: either `messages` to go through a chat template, or `text` to be taken as it is."""

    path: Path
    number: int
    messages: list[dict[str, str]] | None
    text: str | None
    label: str | None

    @property
    def place(self) -> str:
        return f"{self.path}:{self.number}"


def read_lines(path: Path, labels: Sequence[str] | None = None) -> list[Line]:
    """All lines of a JSONL file, or those with one of `labels`; blank lines are passed over.

    Raises:
        HarnessError: naming file and line, for what cannot be read.
    """
    try:
        content = path.read_text("utf-8-sig")
    except FileNotFoundError as error:
        raise HarnessError(
            f"{path} is not there; data.path must be a folder with train.jsonl and valid.jsonl"
        ) from error
    except OSError as error:
        raise HarnessError(f"{path} cannot be read: {error.strerror}; see that it is a file you may read") from error
    except UnicodeDecodeError as error:
        number = path.read_bytes()[: error.start].count(b"\n") + 1
        raise HarnessError(
            f"{path}:{number} must be UTF-8, but byte {error.start} is not; save the file as UTF-8"
        ) from error
    # not splitlines(): JSON strings may hold other line separators, such as U+2028
    numbered = enumerate(content.split("\n"), start=1)
    lines = [_read_line(path, number, text) for number, text in numbered if text.strip()]
    if labels is None:
        return lines
    kept = [line for line in lines if line.label in labels]
    if not kept:
        there = ", ".join(sorted({line.label for line in lines if line.label is not None})) or "none"
        raise HarnessError(f"data.labels={list(labels)} keeps no line of {path}; its labels are {there}")
    return kept


def check_first_lines(folder: Path, names: Sequence[str] = ("train", "valid")) -> None:
    """Look at the first line of each file, before anything heavy is loaded for the rest.

    Raises:
        HarnessError: naming file and line, for one in a form that is not known.
    """
    for path in (folder / f"{name}.jsonl" for name in names):
        with suppress(OSError, UnicodeDecodeError), path.open(encoding="utf-8-sig", newline="\n") as file:
            first = next(((number, text) for number, text in enumerate(file, start=1) if text.strip()), None)
            if first is not None:
                _read_line(path, *first)


def _read_line(path: Path, number: int, text: str) -> Line:
    place = f"{path}:{number}"
    try:
        record = json.loads(text)
    except json.JSONDecodeError as error:
        raise HarnessError(
            f"{place} must be one JSON object, but {error.msg} at column {error.colno}; mend the line"
        ) from error
    if not isinstance(record, dict):
        raise HarnessError(f"{place} must be one JSON object, but it is a {type(record).__name__}; mend the line")
    label = record.get("label")
    label = None if label is None else str(label)
    if "messages" in record:
        return Line(path, number, _messages(record["messages"], place), None, label)
    if "prompt" in record and "completion" in record:
        turns = [("user", record["prompt"]), ("assistant", record["completion"])]
        return Line(path, number, _messages([{"role": r, "content": c} for r, c in turns], place), None, label)
    if isinstance(record.get("text"), str):
        return Line(path, number, None, record["text"], label)
    keys = ", ".join(record) or "no keys"
    raise HarnessError(f"{place} must have messages, or prompt and completion, or text, but it has {keys}")


def _messages(value: Any, place: str) -> list[dict[str, str]]:
    if not isinstance(value, list) or not value:
        raise HarnessError(f"{place}: messages must be a list of at least one message, but it is {value!r:.60}")
    for message in value:
        if not isinstance(message, dict) or not isinstance(message.get("content"), str):
            raise HarnessError(f"{place}: a message must have role and content as texts, but got {message!r:.60}")
        if message.get("role") not in ROLES:
            raise HarnessError(f"{place}: role must be one of {', '.join(ROLES)}, but got {message.get('role')!r}")
    if not any(message["role"] == "assistant" for message in value):
        raise HarnessError(f"{place}: there must be an assistant message to learn, but there is none")
    return [{"role": message["role"], "content": message["content"]} for message in value]
