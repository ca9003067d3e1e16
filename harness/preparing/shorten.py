"""A row that is too long as several: a conversation between its exchanges, a plain text between its paragraphs.

An exchange that is too long by itself, and a text with turns, stay as they are: training cuts them.
"""

import re
from collections.abc import Callable, Iterator, Sequence

from harness.data.dataset import TextEncoder
from harness.data.lines import Line
from harness.data.shapes import Message
from harness.data.turns import user_turns

# where a text may be parted, the best places first
_PLACES = [re.compile(pattern) for pattern in (r"\n\s*\n", r"\n", r"(?<=[.!?。！？…])\s*", r"\s+")]


def shorter_conversations(
    messages: Sequence[Message], fits: Callable[[Sequence[Message]], bool]
) -> list[list[Message]]:
    """As many exchanges as fit in each, all with the system's message."""
    system = [each for each in messages[:1] if each["role"] == "system"]
    parts: list[list[Message]] = []
    for exchange in _exchanges(messages[len(system) :]):
        if parts and fits([*parts[-1], *exchange]):
            parts[-1] += exchange
        else:
            parts.append([*system, *exchange])
    return parts


def _exchanges(messages: Sequence[Message]) -> Iterator[list[Message]]:
    """From a user's message to before the next one's."""
    exchange: list[Message] = []
    for message in messages:
        if message["role"] == "user" and any(each["role"] == "assistant" for each in exchange):
            yield exchange
            exchange = []
        exchange.append(message)
    yield exchange


def shorter_texts(line: Line, encoder: TextEncoder, limit: int) -> list[str]:
    """Pieces of a text without turns of at most `limit` tokens, none of it lost but the space between them."""
    text = line.text or ""
    if user_turns(text):
        return [text]
    pieces = []
    while text:
        spans = encoder.encode(text, special=True).spans
        if len(spans) < limit:  # one more for the end of the text
            break
        end = _place(text, spans[limit - 2][0])
        pieces.append(text[:end].rstrip())
        text = text[end:].lstrip()
    return [*pieces, *([text] if text else [])]


def _place(text: str, most: int) -> int:
    """The last good place before `most` characters, in the later half of them."""
    for pattern in _PLACES:
        ends = [found.end() for found in pattern.finditer(text, most // 2, most) if found.end() > 0]
        if ends:
            return ends[-1]
    return max(most, 1)
