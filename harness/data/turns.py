"""Which characters of a training text are the assistant's: what the loss is taken on.

For messages the chat template is asked (by rendering prefixes); for ready-made texts the known turn
markers are looked for. Knows nothing of tokens.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harness.data.shapes import Message
from harness.data.thinking import answer_span, said_by, without_block
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


_MARKER = re.compile(r"\s?(<[^<>\s]{1,24}>)")
_LAST_MARKER = re.compile(r"<[^<>\s]{1,24}>\Z")


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


def mark_messages(messages: Sequence[Message], render: Render, *, answers: bool = False) -> Marked:
    """Messages through a chat template, with every assistant turn located; with `answers` what follows its thoughts.

    A turn reaches from the end of its generation prompt to the end of its closing marker. Templates that render an
    earlier turn differently once later ones follow (they may drop reasoning) give no prefix: then the turn is looked
    for as it is when it is the last, then its content, in order.

    Raises:
        HarnessError: when a turn is not in the rendered text.
    """
    text = render(messages, False)
    spans: list[Span] = []
    position = 0
    for index, message in enumerate(messages):
        if message["role"] != "assistant":
            position = _end_of(text, message["content"].strip(), position)
            continue
        span = _turn(text, messages[: index + 1], render, position)
        spans.append(answer_span(text, span, said_by(message)) if answers else span)
        position = span[1]
    return Marked(text, spans)


def first_difference(one: str, other: str) -> int:
    """How many characters the two have in common from their beginning on."""
    differs = (at for at, (here, there) in enumerate(zip(one, other, strict=False)) if here != there)
    return next(differs, min(len(one), len(other)))


def _turn(text: str, messages: Sequence[Message], render: Render, position: int) -> Span:
    """Where the last of `messages`, an assistant's, stands in the text of these and what follows."""
    said = said_by(messages[-1])
    asked = render(messages[:-1], True) if messages[1:] else ""
    through = render(messages, False)
    if asked and text.startswith(through) and text.startswith(asked) and len(asked) < len(through):
        return len(asked), _unspaced(text, len(asked), len(through))
    before = render(messages[:-1], False) if messages[1:] else ""
    begin = first_difference(asked, text)
    if text.startswith(through) and said.thinking and len(before) < begin <= text.find(said.thinking, len(before)):
        return begin, _unspaced(text, begin, len(through))  # its prompt closes thoughts that it has
    return _as_when_last(text, before, asked, through, position) or _find_content(
        text, messages[-1]["content"].strip(), said.answer.strip(), position
    )


def _as_when_last(text: str, before: str, asked: str, through: str, position: int) -> Span | None:
    """A turn with its heading, as they are written where it is the last one, with or without its thoughts, or closed by
    another marker.

    `before`: what precedes it; `asked`: that and the prompt for it; `through`: all to its end.
    """
    if not (asked.startswith(before) and through.startswith(asked)):
        return None
    header, body = asked[len(before) :], through[len(asked) :].rstrip()
    for head in (header, without_block(header)):
        for turn in (body, without_block(body), _LAST_MARKER.sub("", body)):
            if head and turn and (found := text.find(head + turn, position)) >= 0:
                end = found + len(head) + len(turn)
                return found + len(head), end if body.endswith(turn) else _closed(text, end)
    return None


def _end_of(text: str, content: str, position: int) -> int:
    found = text.find(content, position)
    return position if found < 0 else found + len(content)


def _unspaced(text: str, begin: int, end: int) -> int:
    return begin + len(text[begin:end].rstrip())


def _closed(text: str, end: int) -> int:
    """The end of a turn with the closing marker that follows at once, such as <|im_end|> or </s>, where one does."""
    marker = _MARKER.match(text, end)
    return marker.end() if marker else end


def _find_content(text: str, content: str, answer: str, position: int) -> Span:
    """The content, or what of it answers, and a closing marker such as <|im_end|> or </s> when one follows at once."""
    for wanted in (content, answer):
        start = text.find(wanted, position) if wanted else -1
        if start >= 0:
            end = start + len(wanted)
            return start, _closed(text, end)
    raise HarnessError("the chat template changes or drops an assistant turn, so that it cannot be located")
