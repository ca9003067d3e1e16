"""One row at a time: is it what training can read and learn from, and how long is it?

Knows lines, and rows of tokens where there is a tokenizer. Does not know other rows.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.config.schema import Thinking, TrainedOn
from harness.data.dataset import TextEncoder, to_row
from harness.data.kinds import Kind
from harness.data.lines import Line, line_of
from harness.data.said import digest
from harness.data.shapes import Message, ShapeError
from harness.data.sources.found import Found, Rejected
from harness.errors import HarnessError
from harness.preparing.shorten import shorter_conversations, shorter_texts

# all but tab, line feed and carriage return; and halves of UTF-16 pairs, which no file can hold
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_HALF = re.compile("[\ud800-\udfff]")
_NOWHERE = Path("-")


@dataclass(frozen=True)
class Length:
    """In tokens: of the row, of what is learned of it, and how many of those a cut to the limit loses."""

    tokens: int
    learned: int
    lost: int


@dataclass(frozen=True)
class Checked:
    """A row, and the bytes by which it is written. `length`: None where no tokenizer counts."""

    found: Found
    line: Line
    written: bytes
    length: Length | None


class Checker:
    """`labels`: those that are kept; `encoder`: None where no base is named."""

    def __init__(
        self,
        encoder: TextEncoder | None,
        trained: TrainedOn,
        too_long: str,
        labels: list[str] | None,
        thinking: Thinking = "learn",
    ) -> None:
        self._encoder, self._trained, self._too_long, self._labels = encoder, trained, too_long, labels
        self._thinking: Thinking = thinking

    def check(self, found: Found) -> Iterator[Checked | Rejected]:
        """The row; with too_long=split, what it was split into; or why it is none."""
        try:
            checked = self._checked(found)
            yield from self._split(checked) if self._splits(checked) else [checked]
        except RecursionError:
            reason = "it is nested too deeply"
            yield Rejected.of("…", origin=found.origin, kind=Kind.SHAPE, reason=reason)
        except _NoRow as no:
            yield Rejected.of(_text(found.line), origin=found.origin, kind=no.kind, reason=no.reason)

    def _checked(self, found: Found) -> Checked:
        if self._labels is not None and found.label not in self._labels:
            raise _NoRow(Kind.LABEL, f"its label is {found.label}, and data.labels={self._labels}")
        line = _read(found)
        return Checked(found, line, _written(found), self._length(line))

    def _splits(self, checked: Checked) -> bool:
        length = checked.length
        return self._too_long == "split" and length is not None and length.tokens > self._trained.max_seq_length

    def _split(self, whole: Checked) -> Iterator[Checked]:
        """Its parts, which stay on one side of the split."""
        found, encoder, limit = whole.found, self._encoder, self._trained.max_seq_length
        assert encoder is not None and whole.length is not None, "it is too long"
        parts: Sequence[Mapping[str, Any]]
        if whole.line.text is not None:
            parts = [{**found.line, "text": part} for part in shorter_texts(whole.line, encoder, limit)]
        else:

            def fits(messages: Sequence[Message]) -> bool:
                part = replace(whole.line, messages=list(messages))
                row = to_row(part, encoder, mask_prompt=False, thinking=self._thinking)
                return len(row.tokens) <= limit

            conversations = shorter_conversations(whole.line.messages or [], fits)
            parts = [{**found.line, "messages": messages} for messages in conversations]
        if len(parts) < 2:
            yield whole
            return
        group = found.group or f"parts {digest(whole.line).hex()}"
        for number, part in enumerate(parts, start=1):
            yield self._checked(replace(found, line=part, group=group, origin=f"{found.origin}, part {number}"))

    def _length(self, line: Line) -> Length | None:
        if self._encoder is None:
            return None
        try:
            row = to_row(line, self._encoder, mask_prompt=self._trained.mask_prompt, thinking=self._thinking)
        except HarnessError as error:
            raise _NoRow(Kind.TEMPLATE, str(error).removeprefix(f"{line.place}: ")) from error
        limit = self._trained.max_seq_length
        kept = int(row.learn[:limit].sum())
        if len(row.tokens) > limit and self._too_long == "drop":
            raise _NoRow(Kind.TOO_LONG, f"it has {len(row.tokens)} tokens, train.max_seq_length={limit}")
        if kept == 0:
            why = f"the prompt alone fills train.max_seq_length={limit}" if row.targets else "no token is learned"
            raise _NoRow(Kind.NOTHING, why)
        return Length(len(row.tokens), row.targets, row.targets - kept)


class _NoRow(Exception):  # noqa: N818
    def __init__(self, kind: Kind, reason: str) -> None:
        self.kind, self.reason = kind, reason


def _read(found: Found) -> Line:
    """The line as training will read it."""
    try:
        line = line_of({**found.line, "label": found.label}, _NOWHERE, 0)
    except ShapeError as error:
        raise _NoRow(error.kind, error.rule) from error
    texts = [line.text] if line.text is not None else [each["content"] for each in line.messages or []]
    for text in texts:
        if isinstance(text, str):
            _check_characters(text)
    _check_turns(line)
    return line


def _written(found: Found) -> bytes:
    line = dict(found.line)
    if found.label is not None:
        line["label"] = found.label
    if found.lineage:
        line["lineage"] = dict(found.lineage)
    try:
        return f"{json.dumps(line, ensure_ascii=False)}\n".encode()
    except UnicodeEncodeError as error:
        raise _NoRow(Kind.UNREADABLE, "it holds half of a UTF-16 pair") from error
    except (TypeError, ValueError) as error:
        raise _NoRow(Kind.TYPE, f"it cannot be written as JSON: {error}") from error


def _check_characters(text: str) -> None:
    if half := _HALF.search(text):
        raise _NoRow(Kind.UNREADABLE, f"character {half.start()} is half of a UTF-16 pair")
    if control := _CONTROL.search(text):
        raise _NoRow(Kind.CONTROL, f"character {control.start()} is U+{ord(control[0]):04X}")


def _check_turns(line: Line) -> None:
    if line.text is not None:
        if not line.text.strip():
            raise _NoRow(Kind.EMPTY, "the text is empty")
        return
    assert line.messages is not None, "a line has messages or text"
    before = ""
    for number, message in enumerate(line.messages, start=1):
        role = message["role"]
        if role == "system" and number > 1:
            raise _NoRow(Kind.ORDER, f"message {number} is the system's, which must be the first")
        if role == before and role in ("user", "assistant"):
            raise _NoRow(Kind.ORDER, f"message {number} is the {role}'s, as the one before it")
        if not (message.get("content") or "").strip() and role != "system" and not message.get("tool_calls"):
            raise _NoRow(Kind.EMPTY, f"message {number}, the {role}'s, is empty")
        before = role
    if before != "assistant":
        raise _NoRow(Kind.ORDER, f"the last message is the {before}'s, and none answers it")


def _text(line: Mapping[str, Any]) -> str:
    return str(line.get("text") or line.get("messages") or line.get("prompt") or line)
