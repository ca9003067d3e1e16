"""Which characters of a training text are the assistant's: what the loss is taken on.

For messages the chat template is asked (by rendering prefixes); for ready-made texts the known turn
markers are looked for. Knows nothing of tokens.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harness.data.shapes import Message
from harness.errors import HarnessError

Span = tuple[int, int]
# (messages, add_generation_prompt) -> text
Render = Callable[[Sequence[Message], bool], str]


@dataclass(frozen=True)
class Marked:
    """A text and the half-open character ranges of the assistant's turns, end markers included."""

    text: str
    spans: list[Span]


@dataclass(frozen=True)
class TurnFormat:
    """How a family of templates opens and closes turns. A line break after an opening belongs to the prompt; the
    closing marker belongs to the assistant's turn, since a model must learn to stop."""

    assistant: re.Pattern[str]
    user: re.Pattern[str]


_FORMATS = [
    TurnFormat(  # ChatML
        re.compile(r"<\|im_start\|>assistant\n?(.*?(?:<\|im_end\|>|(?=<\|im_start\|>)|\Z))", re.DOTALL),
        re.compile(r"<\|im_start\|>user\s(.*?)<\|im_end\|>", re.DOTALL),
    ),
    TurnFormat(  # Llama 3
        re.compile(
            r"<\|start_header_id\|>assistant<\|end_header_id\|>\n{0,2}(.*?(?:<\|eot_id\|>|(?=<\|start_header_id\|>)|\Z))",
            re.DOTALL,
        ),
        re.compile(r"<\|start_header_id\|>user<\|end_header_id\|>(.*?)<\|eot_id\|>", re.DOTALL),
    ),
    TurnFormat(  # Gemma
        re.compile(r"<start_of_turn>model\n?(.*?(?:<end_of_turn>|(?=<start_of_turn>)|\Z))", re.DOTALL),
        re.compile(r"<start_of_turn>user\s(.*?)<end_of_turn>", re.DOTALL),
    ),
    TurnFormat(  # Mistral, and Llama 2 with its system prompt inside the user's turn
        re.compile(r"\[/INST\] ?(.*?(?:</s>|(?=\[INST\])|\Z))", re.DOTALL),
        re.compile(r"\[INST\](?:\s*<<SYS>>.*?<</SYS>>)?(.*?)\[/INST\]", re.DOTALL),
    ),
    TurnFormat(  # headings for base models, as prompt=persona writes them; nothing closes a turn
        re.compile(r"^### Response:\n(.*?)(?=\s*^### (?:Role|Instruction|Input):\n|\Z)", re.DOTALL | re.MULTILINE),
        re.compile(
            r"^### (?:Instruction|Input):\n((?:(?!^### ).)*?)\s*^### Response:\n",
            re.DOTALL | re.MULTILINE,
        ),
    ),
]


def mark_text(text: str) -> Marked:
    """A ready-made text. Without any known marker all of it is to be learned."""
    found = _format(text)
    if found is None:
        return Marked(text, [(0, len(text))])
    return Marked(text, [match.span(1) for match in found.assistant.finditer(text)])


def user_turns(text: str) -> list[str]:
    """What the user says in a ready-made text, turn by turn. Templates without a turn for the system's prompt put it
    before the first."""
    found = _format(text)
    return [] if found is None else [turn.strip() for turn in found.user.findall(text)]


def _format(text: str) -> TurnFormat | None:
    """The first that the text has an assistant's turn in."""
    return next((each for each in _FORMATS if each.assistant.search(text)), None)


def mark_messages(messages: Sequence[Message], render: Render) -> Marked:
    """Messages through a chat template, with every assistant turn located.

    A turn reaches from the end of its generation prompt to the end of its closing marker. Templates
    that render an earlier turn differently once later ones follow (they may drop reasoning) give no
    prefix: then the turn's content is looked for, in order.

    Raises:
        HarnessError: when a turn is not in the rendered text.
    """
    text = render(messages, False)
    spans: list[Span] = []
    position = 0
    for index, message in enumerate(messages):
        if message["role"] != "assistant":
            continue
        before = render(messages[:index], True) if index else ""
        through = render(messages[: index + 1], False)
        if before and text.startswith(before) and text.startswith(through) and len(before) < len(through):
            span = (len(before), len(before) + len(text[len(before) : len(through)].rstrip()))
        else:
            span = _find_content(text, message["content"].strip(), position)
        spans.append(span)
        position = span[1]
    return Marked(text, spans)


def _find_content(text: str, content: str, position: int) -> Span:
    """The content, and a closing marker such as <|im_end|> or </s> when one follows at once."""
    start = text.find(content, position)
    if start < 0:
        raise HarnessError("the chat template changes or drops an assistant turn, so that it cannot be located")
    end = start + len(content)
    marker = re.compile(r"\s?(<[^<>\s]{1,24}>)").match(text, end)
    return (start, marker.end() if marker else end)
