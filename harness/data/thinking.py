"""What a model thinks before it answers: told apart from the answer, in messages and in ready-made texts.

Knows messages and texts; nothing of tokens, and of templates only how models mark their thoughts.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Message = dict[str, Any]
Span = tuple[int, int]

# a key of a message that holds its thoughts
THOUGHTS = ("reasoning_content", "reasoning", "thinking")

_MARKERS = (
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<longcat_think>", "</longcat_think>"),
    ("<seed:think>", "</seed:think>"),
    ("[THINK]", "[/THINK]"),
    ("<|think:start|>", "<|think:end|>"),
    ("<|channel>thought", "<channel|>"),
    ("<|channel|>analysis<|message|>", "<|channel|>final<|message|>"),  # gpt-oss, which begins a turn for each channel
)
BEGINNINGS = tuple(begin for begin, _ in _MARKERS)
# as they come: the turn that gpt-oss ends before its answer is no thought
ENDS = (*(end for _, end in _MARKERS), "<|end|><|start|>assistant<|channel|>final<|message|>")
_TURN_BETWEEN = re.compile(r"\s*<\|end\|>\s*<\|start\|>assistant\s*\Z")
_BLOCK = "|".join(rf"{re.escape(begin)}.*?{re.escape(end)}" for begin, end in _MARKERS)
_AT_HEAD = re.compile(rf"\s*(?:{_BLOCK})\s*", re.DOTALL)
_AT_END = re.compile(rf"(?:{_BLOCK})\s*\Z", re.DOTALL)
_EMPTY = re.compile("|".join(rf"{re.escape(begin)}\s*{re.escape(end)}\s*" for begin, end in _MARKERS))
# what a model wrote after a prompt that had opened its thoughts has their end alone
_ENDED = re.compile(rf"(.*?)(?:{'|'.join(re.escape(end) for _, end in _MARKERS)})\s*", re.DOTALL)


@dataclass(frozen=True)
class Said:
    """`thinking`: without its markers, empty where there is none; `answer`: all else of the content."""

    thinking: str
    answer: str


def said_by(message: Message) -> Said:
    """What an assistant's message thinks, under a key of its own or at the head of its content, and answers."""
    content = message["content"]
    keyed = next((message[name] for name in THOUGHTS if isinstance(message.get(name), str)), "").strip()
    ended = _ENDED.match(content) if any(end in content for _, end in _MARKERS) else None
    if ended is None:
        return Said(keyed, content)
    thinking = ended[1].strip()
    for begin, _ in _MARKERS:
        thinking = thinking.removeprefix(begin)
    return Said(keyed or _TURN_BETWEEN.sub("", thinking).strip(), content[ended.end() :])


def said_after(prompt: str, written: str) -> Said:
    """What a model wrote after a prompt, which may have opened its thoughts. Thoughts without an end have no answer."""
    said = said_by({"content": written})
    begun = next((begin for begin, _ in _MARKERS if written.lstrip().startswith(begin)), None)
    if said.answer != written or (not opens_thoughts(prompt) and begun is None):
        return said
    return Said(written.strip().removeprefix(begun or "").strip(), "")


def opens_thoughts(prompt: str) -> bool:
    """Whether a prompt ends where the thoughts begin."""
    return prompt.rstrip().endswith(BEGINNINGS)


def has_thinking(messages: Sequence[Message]) -> bool:
    return any(message["role"] == "assistant" and said_by(message).thinking for message in messages)


def without_thinking(messages: Sequence[Message]) -> list[Message]:
    """The messages with the assistant's answers alone."""
    left = []
    for message in messages:
        if message["role"] == "assistant":
            kept = {name: value for name, value in message.items() if name not in THOUGHTS}
            message = {**kept, "content": said_by(message).answer}
        left.append(message)
    return left


def answer_span(text: str, span: Span, said: Said) -> Span:
    """Of an assistant's turn in a text, what follows its thoughts, the empty ones of a template among them."""
    begin, end = span
    thought = text.find(said.thinking, begin, end) if said.thinking else -1
    head = _AT_HEAD.match(text, begin, end)
    if thought < 0 and head is None:
        return span
    after = max(0 if thought < 0 else thought + len(said.thinking), begin if head is None else head.end())
    found = text.find(said.answer.strip(), after, end) if said.answer.strip() else -1
    if found >= 0:
        return found, end
    closed = re.compile(r"\s*(?:</?[^<>\s]{1,24}>|\[/THINK\])\s*").match(text, after, end) if head is None else None
    return (after if closed is None else closed.end()), end


def answer_of(text: str, span: Span) -> Span:
    """The same in a ready-made text, where only the markers tell."""
    head = _AT_HEAD.match(text, *span)
    return span if head is None else (head.end(), span[1])


def without_block(text: str) -> str:
    """A turn without the thoughts that it begins with, or a prompt for one without those that it ends with."""
    return _AT_END.sub("", text[len(head[0]) :] if (head := _AT_HEAD.match(text)) else text)


def empty_block(text: str, span: Span) -> str:
    """The thoughts without a thought that a turn begins with; empty where there are none."""
    head = _EMPTY.match(text, *span)
    return "" if head is None else head[0]
