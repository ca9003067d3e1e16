"""Text as it comes is the text as a whole, and what must not be seen is at no moment."""

from collections.abc import Sequence

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from harness.data.thinking import Said, said_after
from harness.models.base import Base
from harness.sampling.engine import Step
from harness.serving.choice import Choice, Way
from harness.serving.incremental_text import Kind, Spelling, Stops, Thoughts

PIECES = st.lists(
    st.sampled_from(["a", " ", "\n", "<", "<th", "ink>", "</", "think>", "</think>", "河", "b c"]), max_size=12
)


def test_characters_that_span_tokens_come_whole(base: Base) -> None:
    text = "河🌊 é\u200d漢 end"
    tokens = base.tokenizer.encode(text, special=False).ids
    assert len(tokens) > len(text), "some characters are several tokens"
    spelling = Spelling(base.tokenizer.decode)
    pieces = [spelling.add(token) for token in tokens]
    assert "".join(pieces) == text and spelling.rest() == ""
    assert not any("\ufffd" in piece for piece in pieces)


def test_half_a_character_at_the_end_is_shown_as_the_whole_text_has_it(base: Base) -> None:
    tokens = base.tokenizer.encode("a🌊", special=False).ids[:-1]
    spelling = Spelling(base.tokenizer.decode)
    said = "".join(spelling.add(token) for token in tokens)
    assert said == "a" and said + spelling.rest() == base.tokenizer.decode(tokens)


@settings(deadline=None)
@given(st.lists(st.integers(0, 1200), max_size=24))
def test_any_tokens_come_as_the_whole_is_read(base: Base, tokens: Sequence[int]) -> None:
    spelling = Spelling(base.tokenizer.decode)
    assert "".join(map(spelling.add, tokens)) + spelling.rest() == base.tokenizer.decode(tokens)


@settings(deadline=None)
@given(st.lists(st.sampled_from(["a", "b", "c", "ab"]), max_size=12), st.lists(st.sampled_from(["abc", "ba", "cc"])))
def test_nothing_of_a_stop_text_is_shown(pieces: Sequence[str], texts: Sequence[str]) -> None:
    stops, shown, whole = Stops(texts), "", ""
    for piece in pieces:
        whole += piece
        shown += stops.add(piece)
        assert not any(text in shown for text in texts)
        if stops.met:
            break
    found = [whole.find(text) for text in texts if text in whole]
    assert stops.met == bool(found)
    assert shown + stops.rest() == (whole[: min(found)] if found else whole)


@settings(deadline=None)
@given(PIECES, st.sampled_from(["", "<think>\n", "<think></think>"]))
@example([" <think>", "a", " </think>", " b "], "")
@example(["a</think>b"], "<think>")
def test_thoughts_come_apart_as_those_of_a_sample_do(pieces: list[str], prompt: str) -> None:
    text = "".join(pieces)
    said = said_after(prompt, text)
    if prompt != "<think>\n" and "</think>" in text and not text.lstrip().startswith("<think>"):
        return  # thoughts with an end and no beginning: it is known too late
    if text.count("<think>") > (0 if prompt == "<think>\n" else 1):
        return  # thoughts within thoughts
    thoughts = Thoughts(prompt)
    parts = [part for piece in pieces for part in thoughts.add(piece)] + thoughts.rest()
    assert all(part.text for part in parts)
    assert "".join(part.text for part in parts if part.kind is Kind.THINKING) == said.thinking
    assert "".join(part.text for part in parts if part.kind is Kind.ANSWER) == said.answer.strip()


def test_the_turn_between_the_channels_of_gpt_oss_is_no_thought() -> None:
    text = "<|channel|>analysis<|message|>why<|end|><|start|>assistant<|channel|>final<|message|>because"
    thoughts = Thoughts("<|start|>assistant")
    parts = [part for character in text for part in thoughts.add(character)] + thoughts.rest()
    assert said_after("<|start|>assistant", text) == Said("why", "because")
    assert "".join(part.text for part in parts if part.kind is Kind.THINKING) == "why"
    assert "".join(part.text for part in parts if part.kind is Kind.ANSWER) == "because"


@pytest.mark.parametrize("stream", [False, True])
def test_a_chat_is_shown_without_its_thoughts_and_blanks_and_ends_at_its_stop_text(base: Base, stream: bool) -> None:
    written = "<think> why </think>\n river and sea "
    choice = Choice(Way(prompt="", chat=True, stream=stream, stop=("sea",)), base.tokenizer.decode)
    deltas = []
    for token in base.tokenizer.encode(written, special=False).ids:
        deltas.append(choice.take(Step(number=0, token=token)))
        if choice.finish_reason is not None:
            break
    assert choice.finish_reason == "stop"
    assert (choice.said.thinking, choice.said.answer) == ("why", "river and")
    parts = [part for delta in deltas if delta is not None for part in delta.parts]
    shown = {kind: "".join(part.text for part in parts if part.kind is kind) for kind in Kind}
    assert shown == ({Kind.THINKING: "why", Kind.ANSWER: "river and"} if stream else dict.fromkeys(Kind, ""))


def test_a_text_is_shown_as_it_was_written(base: Base) -> None:
    choice = Choice(Way(prompt="", chat=False, stream=False, stop=()), base.tokenizer.decode)
    ids = base.tokenizer.encode(" <think>a</think> b ", special=False).ids
    for place, token in enumerate(ids):
        choice.take(Step(number=0, token=token, finish_reason="length" if place == len(ids) - 1 else None))
    assert choice.said.answer == " <think>a</think> b " and choice.finish_reason == "length"
