"""What a line says does not depend on the shape that it is written in."""

from pathlib import Path

import pytest

from harness.data.lines import line_of
from harness.data.said import said


@pytest.mark.parametrize(
    "text",
    [
        "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\n河<|im_end|>\n<|im_start|>assistant\n一\n二<|im_end|>",
        "<start_of_turn>user\n河<end_of_turn>\n<start_of_turn>model\n一\n二<end_of_turn>\n",
        "<s>[INST] 河 [/INST] 一\n二</s>",
    ],
)
def test_a_text_and_messages_of_the_same_words_say_the_same(text: str) -> None:
    messages = [{"role": "user", "content": "河"}, {"role": "assistant", "content": "一\n二"}]
    as_messages = line_of({"messages": messages}, Path("a"), 1)
    assert said(line_of({"text": text}, Path("a"), 2)) == said(as_messages) == "河\n一\n二"
