"""What the author wrote of a training line, and on what: the assistant's turns as plain text, by the user's words.

Knows nothing of the formats of turns: they are in turns.py.
"""

import itertools
import re
from collections.abc import Sequence

from harness.data.lines import Line
from harness.data.turns import mark_text, user_turns

_CLOSING = re.compile(r"(<\|[^|<>]{1,24}\|>|</s>|<end_of_turn>|<eos>)\s*$")


def authored(lines: Sequence[Line]) -> list[str]:
    """A text for each line."""
    return [text for line in lines if (text := _of(line))]


def by_theme(lines: Sequence[Line], *, system: str | None = None) -> dict[str, str]:
    """What was written on each theme, where a line has one: what the user says.

    Templates without a turn for the system's prompt put it before the user's words: there a theme is found both with
    and without `system`, or without the paragraphs that all lines begin with.
    """
    told = [(_user(line), _of(line), line.text is not None) for line in lines]
    openings = [(system or "").strip(), _shared_opening([user for user, _, ready_made in told if ready_made])]
    found: dict[str, str] = {}
    for user, text, ready_made in told:
        shorter = [user.removeprefix(opening).strip() for opening in openings if ready_made]
        found |= {theme: text for theme in (user, *shorter) if theme and text}
    return found


def _user(line: Line) -> str:
    """What the user says first; empty where nothing marks it."""
    if line.messages is not None:
        said = next((each["content"] for each in line.messages if each["role"] == "user"), "")
    else:
        said = next(iter(user_turns(line.text or "")), "")
    return said.strip()


def _shared_opening(turns: Sequence[str]) -> str:
    """The whole paragraphs that all begin with; none of a single one."""
    if len(turns) < 2:
        return ""
    paragraphs = zip(*(turn.split("\n\n") for turn in turns), strict=False)
    shared = itertools.takewhile(lambda beside: len(set(beside)) == 1, paragraphs)
    return "\n\n".join(beside[0] for beside in shared)


def _of(line: Line) -> str:
    if line.messages is not None:
        return "\n".join(each["content"] for each in line.messages if each["role"] == "assistant").strip()
    assert line.text is not None, "a line has messages or text"
    turns = (line.text[start:end] for start, end in mark_text(line.text).spans)
    return "\n".join(unclosed(turn) for turn in turns).strip()


def unclosed(turn: str) -> str:
    """Without the markers at its end: some templates close a turn and then the text."""
    while (shorter := _CLOSING.sub("", turn)) != turn:
        turn = shorter
    return turn.strip()
