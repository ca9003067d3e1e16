"""Messages become the prompt that a sample has, with what a request says for the template."""

import pytest

from harness.models.base import Base
from harness.serving.choice import Choice, Way
from harness.serving.limits import Limits
from harness.serving.prompting import Prompting
from harness.serving.refusal import RefusalError
from tests.templates import ALWAYS_THINKING, THINKING, tokenizer_with

LIMITS = Limits(rows=1, queue=0, prompt_tokens=40, max_tokens=8)
USER = [{"role": "user", "content": "河"}]


def prompting(base: Base, template: str) -> Prompting:
    return Prompting(tokenizer_with(base, template), base.vocabulary, LIMITS)


def test_a_request_goes_before_what_the_adapter_was_trained_with(base: Base) -> None:
    asked = prompting(base, THINKING)
    on, off = {"enable_thinking": True}, {"enable_thinking": False}
    assert asked.chat(USER, on, {}).text.endswith("assistant\n")
    assert asked.chat(USER, off, {}).text == asked.chat(USER, {}, off).text == asked.chat(USER, on, off).text
    assert asked.chat(USER, off, {}).text.endswith("<think>\n\n</think>\n\n")
    assert asked.chat(USER, off, on).text == asked.chat(USER, on, {}).text


def test_what_follows_a_prompt_that_opens_the_thoughts_is_a_thought_until_they_end(base: Base) -> None:
    put = prompting(base, ALWAYS_THINKING).chat(USER, {}, {})
    assert put.ids == base.tokenizer.encode(put.text, special=False).ids and put.text.endswith("<think>\n")
    said = Choice(Way(prompt=put.text, chat=True, stream=False, stop=()), lambda ids: "why</think>because").said
    assert (said.thinking, said.answer) == ("why", "because")


def test_a_template_that_refuses_and_a_prompt_that_is_too_long_are_said_of_the_messages(base: Base) -> None:
    refusing = "{{ raise_exception('Roles must alternate') }}"
    with pytest.raises(RefusalError, match="refused the messages: Roles must alternate") as refused:
        prompting(base, refusing).chat(USER, {}, {})
    assert (refused.value.status, refused.value.param) == (400, "messages")
    with pytest.raises(RefusalError, match="messages has [0-9]+ tokens, and at most 40 are taken"):
        prompting(base, THINKING).chat([{"role": "user", "content": "河" * 60}], {}, {})
    with pytest.raises(RefusalError, match="prompt has token 99999, but this base has"):
        prompting(base, THINKING).text([1, 99999])
