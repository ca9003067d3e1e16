"""What a chat template does to the first rows that a person should know of: a line each.

Knows lines, turns and what a tokenizer does with them; nothing of configurations but the names to set.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

from harness.config.schema import Thinking
from harness.data.dataset import TextEncoder, mark, to_row
from harness.data.lines import Line
from harness.data.shapes import Message
from harness.data.thinking import Said, empty_block, has_thinking, said_by, without_thinking
from harness.data.turns import Marked, first_difference
from harness.errors import HarnessError

_LOOKED_AT = 100  # rows: what a template does it does to all of a kind
_SHOWN = 30  # characters on each side of the first difference


def noticed(lines: Iterable[Line], encoder: TextEncoder, thinking: Thinking) -> list[str]:
    """What is to be said of the first row of each kind: any, with a system prompt, with thoughts, with several turns.

    What the template refuses altogether is not said here: reading the rows does.
    """
    rows = list(islice(lines, _LOOKED_AT))
    said: dict[str, str] = {}  # by the kind of what is said: each once, of the first row that has it
    for line in _kinds(rows):
        try:
            for kind, words in _of_row(line, encoder, thinking):
                said.setdefault(kind, f"{line.place}: {words}")
        except HarnessError:
            continue
    return list(said.values())


def difference(asked: str, there: str) -> str:
    """Both in a few characters around the first that differs; `asked` is no beginning of `there`."""
    at = first_difference(asked, there)
    begin = max(0, at - _SHOWN)
    shown = [("…" if begin else "") + text[begin : at + _SHOWN] for text in (asked, there)]
    return f"{shown[0]!r} is asked at generation, {shown[1]!r} is learned"


def _kinds(rows: Sequence[Line]) -> list[Line]:
    """The first row, and the first of each kind that a template may treat in a way of its own."""
    tests: Sequence[Callable[[Sequence[Message]], bool]] = (
        lambda messages: not has_thinking(messages),
        lambda messages: messages[0]["role"] == "system",
        has_thinking,
        lambda messages: sum(message["role"] == "assistant" for message in messages) > 1,
    )
    found = [next((line for line in rows if line.messages and test(line.messages)), None) for test in tests]
    every = [*rows[:1], *(line for line in found if line is not None)]
    return list({line.number: line for line in every}.values())


def _of_row(line: Line, encoder: TextEncoder, thinking: Thinking) -> Iterator[tuple[str, str]]:
    ids = to_row(line, encoder, mask_prompt=True, thinking=thinking).tokens.tolist()
    if encoder.begin_id is not None and ids[:2] == [encoder.begin_id] * 2:
        yield "begin", "begins with two beginning-of-text tokens; take the one in the text out"
    if line.messages is None:
        return
    messages = without_thinking(line.messages) if thinking == "drop" else line.messages
    marked = mark(line, encoder, thinking)
    yield from _of_what_is_left_out(messages, marked.text, encoder)
    block = empty_block(marked.text, marked.spans[-1]) if thinking != "mask" else ""
    if block and not said_by(messages[-1]).thinking:
        step = "model.template_args={enable_thinking: false} has it asked for instead"
        if not encoder.knows("enable_thinking"):
            step = "its texts will begin with it too"
        yield "empty", f"the chat template puts thoughts without a thought, {block!r}, into what is learned; {step}"
    yield from _of_what_is_asked(line, messages, marked, ids, encoder)


def _of_what_is_left_out(messages: Sequence[Message], text: str, encoder: TextEncoder) -> Iterator[tuple[str, str]]:
    if messages[0]["role"] == "system" and encoder.refuses_system:
        yield "system", "the chat template refuses a system prompt: it goes before the first user turn, in writing too"
    for message in messages:
        if message["role"] in ("system", "user") and message["content"].strip() not in text:
            yield "dropped", f"the chat template leaves out or changes what the {message['role']} says; see show=3"
    thoughts = [said.thinking for message in messages if (said := _assistants(message)) and said.thinking]
    there = sum(thought in text for thought in thoughts)
    if thoughts and not there:
        step = "write it as <think>…</think> before the answer, or say data.thinking=drop"
        yield "thinking", f"the chat template leaves out what the assistant thinks; {step}"
    elif there < len(thoughts):
        some = f"{len(thoughts) - there} of {len(thoughts)} turns think"
        yield "thinking", f"the chat template leaves out what {some}; a row that ends with the turn keeps it"


def _of_what_is_asked(
    line: Line, messages: Sequence[Message], marked: Marked, ids: Sequence[int], encoder: TextEncoder
) -> Iterator[tuple[str, str]]:
    """Whether each of the assistant's turns is learned after what it is asked with at generation."""
    turns = [index for index, message in enumerate(messages) if message["role"] == "assistant" and index]
    for index in reversed(turns):
        last = index == turns[-1]
        asked = encoder.render(messages[:index], add_generation_prompt=True, tools=line.tools)
        if not marked.text.startswith(asked):
            turn = "the last turn" if last else "an earlier turn"
            step = "see model.template_args and data.thinking"
            if not last and not said_by(messages[index]).thinking:
                step = "rows that end with the turn learn it as it is asked"
            yield "asked", f"{turn} is learned otherwise than asked: {difference(asked, marked.text)}; {step}"
            return
        prompt = encoder.encode(asked, special=False).ids
        if list(ids[: len(prompt)]) != prompt:
            yield "asked", f"the last tokens of the prompt {asked[-_SHOWN:]!r} are others once an answer follows it"
            return


def _assistants(message: Message) -> Said | None:
    return said_by(message) if message["role"] == "assistant" else None
