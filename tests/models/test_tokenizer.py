"""What a chat template is given besides the messages."""

import pytest

from harness.errors import HarnessError
from harness.models.base import Base
from tests.templates import HEADERS, THINKING, tokenizer_with

ASK = [{"role": "user", "content": "a"}]


def test_arguments_reach_the_template(base: Base) -> None:
    on, off = (tokenizer_with(base, THINKING, {"enable_thinking": value}) for value in (True, False))
    assert on.render(ASK, add_generation_prompt=True).endswith("<|im_start|>assistant\n")
    assert off.render(ASK, add_generation_prompt=True).endswith("<|im_start|>assistant\n<think>\n\n</think>\n\n")
    again = off.asked_with({"enable_thinking": True})
    assert again.render(ASK, add_generation_prompt=True) == on.render(ASK, add_generation_prompt=True)
    assert on.notes == off.notes == []


@pytest.mark.parametrize("template", [HEADERS, None])
def test_an_argument_that_the_template_does_not_know_is_said(template: str | None, base: Base) -> None:
    (note,) = tokenizer_with(base, template, {"enable_thinking": False}, marks=("<s>",)).notes
    assert note == (
        "model.template_args: enable_thinking does not occur in the chat template of other, so it changes nothing; "
        "look for its name there"
    )


@pytest.mark.parametrize("name", ["messages", "tokenize", "add_generation_prompt", "tools"])
def test_what_the_harness_gives_the_template_is_refused(name: str, base: Base) -> None:
    with pytest.raises(HarnessError, match=f"model.template_args must not hold {name}, which the harness gives"):
        tokenizer_with(base, THINKING, {name: True})
