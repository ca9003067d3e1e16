"""Thoughts are told apart from the answer that follows them."""

import pytest

from harness.data.thinking import Said, said_after


@pytest.mark.parametrize(
    ("prompt", "written", "said"),
    [
        ("user: 河\n", "河水流过\n石头", Said("", "河水流过\n石头")),
        ("user: 河\n", "<think>\nwater?\n</think>\n\n河水流过", Said("water?", "河水流过")),
        ("user: 河\n<think>\n", "water?\n</think>\n\n河水流过", Said("water?", "河水流过")),
        ("user: 河\n<think>\n\n</think>\n\n", "河水流过", Said("", "河水流过")),
        ("user: 河\n", "<think>\nwater, and", Said("water, and", "")),
        ("user: 河\n<think>\n", "water, and", Said("water, and", "")),
        (
            "<|start|>assistant",
            "<|channel|>analysis<|message|>water?<|end|><|start|>assistant<|channel|>final<|message|>河水流过",
            Said("water?", "河水流过"),
        ),
        ("<|start|>assistant", "<|channel|>final<|message|>河水流过", Said("", "河水流过")),
        ("<|start|>assistant", "<|channel|>analysis<|message|>water, and", Said("water, and", "")),
    ],
    ids=[
        "none",
        "own",
        "opened by the prompt",
        "closed by the prompt",
        "own without an end",
        "opened without an end",
        "channels",
        "final alone",
        "analysis alone",
    ],
)
def test_what_was_written_is_thoughts_and_an_answer(prompt: str, written: str, said: Said) -> None:
    assert said_after(prompt, written) == said
