"""What the author wrote of a training line: the assistant's turns as plain text."""

import re
from collections.abc import Sequence

from harness.data.lines import Line
from harness.data.turns import mark_text

_USER = re.compile(r"<\|im_start\|>user\s(.*?)<\|im_end\|>", re.DOTALL)
_CLOSING = re.compile(r"(<\|[^|<>]{1,24}\|>|</s>|<end_of_turn>|<eos>)\s*$")


def authored(lines: Sequence[Line]) -> list[str]:
    """A text for each line."""
    return [text for line in lines if (text := _of(line))]


def by_theme(lines: Sequence[Line]) -> dict[str, str]:
    """What was written on each theme, where a line has one: what the user says."""
    return {theme: text for line in lines if (theme := _theme(line)) and (text := _of(line))}


def _theme(line: Line) -> str | None:
    if line.messages is not None:
        return next((each["content"].strip() for each in line.messages if each["role"] == "user"), None)
    found = _USER.search(line.text or "")
    return found[1].strip() if found else None


def _of(line: Line) -> str:
    if line.messages is not None:
        return "\n".join(each["content"] for each in line.messages if each["role"] == "assistant").strip()
    assert line.text is not None, "a line has messages or text"
    turns = (line.text[start:end] for start, end in mark_text(line.text).spans)
    return "\n".join(_CLOSING.sub("", turn).strip() for turn in turns)
