"""A row that is too long becomes several that are not, and nothing of it is lost."""

from pathlib import Path

from harness.data.dataset import to_row
from harness.data.lines import Line
from harness.models.base import Base
from harness.preparing.shorten import shorter_conversations, shorter_texts

PROSE = "\n\n".join(f"第{number}段：" + "河水慢慢地流过桥下。" * (number % 5 + 1) for number in range(30))


def test_a_conversation_is_parted_between_exchanges_and_keeps_its_system_message() -> None:
    turn = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    system = {"role": "system", "content": "s"}
    parts = shorter_conversations([system, *turn * 5], lambda messages: len(messages) <= 5)
    assert parts == [[system, *turn * 2], [system, *turn * 2], [system, *turn]]


def test_a_text_is_parted_between_paragraphs(base: Base) -> None:
    line = Line(Path("-"), 1, None, PROSE, None)
    pieces = shorter_texts(line, base.tokenizer, 96)
    rows = [to_row(Line(Path("-"), 1, None, piece, None), base.tokenizer, mask_prompt=True) for piece in pieces]
    assert max(len(row.tokens) for row in rows) <= 96 and len(pieces) > 3
    assert "".join("".join(pieces).split()) == "".join(PROSE.split())
    assert all(piece.endswith("。") for piece in pieces)


def test_a_text_without_any_place_to_part_is_cut_where_it_must_be(base: Base) -> None:
    pieces = shorter_texts(Line(Path("-"), 1, None, "河" * 500, None), base.tokenizer, 100)
    assert "".join(pieces) == "河" * 500 and len(pieces) == 6


def test_a_text_with_turns_stays_whole(base: Base) -> None:
    text = "<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n" + "河" * 300 + "<|im_end|>"
    assert shorter_texts(Line(Path("-"), 1, None, text, None), base.tokenizer, 100) == [text]
