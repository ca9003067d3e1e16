"""What a line says, by which two lines are the same or nearly so: user's and assistant's words without their markers.

Knows lines and the formats of turns; nothing of tokens.
"""

import hashlib
import re

from harness.data.authored import unclosed
from harness.data.lines import Line
from harness.data.shapes import Message
from harness.data.thinking import THOUGHTS
from harness.data.turns import mark_text, user_turns

_SPACE = re.compile(r"\s+")


def said(line: Line) -> str:
    """All turns but the system's; a text without turns as it is."""
    if line.messages is not None:
        return "\n".join(str(each["content"]) for each in line.messages if each["role"] != "system")
    text = line.text or ""
    spans = mark_text(text).spans
    return "\n".join([*user_turns(text), *(unclosed(text[start:end]) for start, end in spans)])


def digest(line: Line) -> bytes:
    """16 bytes that lines with the same words, thoughts, system prompt and label share; space does not count."""
    whole = line.text if line.text is not None else repr([_written(each) for each in line.messages or []])
    return hashlib.sha256(f"{line.label!r}{_SPACE.sub('', whole)}".encode("utf-8", "surrogatepass")).digest()[:16]


def _written(message: Message) -> tuple[str, ...]:
    """Role, content, and thoughts that stand beside it where there are any."""
    thoughts = (str(message[name]) for name in THOUGHTS if message.get(name))
    return message["role"], message["content"], *thoughts


def prompt_digest(line: Line) -> bytes:
    """8 bytes that lines share whose user says the same first; empty where none says anything."""
    if line.messages is not None:
        first = next((str(each["content"]) for each in line.messages if each["role"] == "user"), "")
    else:
        first = next(iter(user_turns(line.text or "")), "")
    return hashlib.sha256(first.encode("utf-8", "surrogatepass")).digest()[:8] if first else b""


def words_digest(text: str) -> bytes:
    """8 bytes that texts share which differ in space alone."""
    return hashlib.sha256(_SPACE.sub("", text).encode("utf-8", "surrogatepass")).digest()[:8]
