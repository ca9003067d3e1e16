"""What a request may say: what is done, what is left aside, and what is refused by its name."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.serving.fields import read_chat, read_text
from harness.serving.refusal import RefusalError
from harness.serving.values import read_body

CHAT: dict[str, Any] = {"model": "poet", "messages": [{"role": "user", "content": "河"}]}
TEXT: dict[str, Any] = {"model": "poet", "prompt": "河"}


@pytest.mark.parametrize(
    "more",
    [
        {"user": "ada", "metadata": {"a": "b"}, "store": False, "service_tier": "auto"},
        {"tools": [], "tool_choice": "none", "response_format": {"type": "text"}, "logit_bias": None},
        {"frequency_penalty": 0.0, "presence_penalty": 0, "parallel_tool_calls": True},
        # what mlx_lm.server's clients send
        {"repetition_penalty": 0.0, "repetition_context_size": 20, "xtc_probability": 0.0, "num_draft_tokens": 3},
        {"top_k": 0, "min_p": 0.0, "top_logprobs": -1, "draft_model": "default_model", "role_mapping": None},
        {"top_k": -1, "repetition_penalty": 1.0},
    ],
)
def test_what_changes_no_text_is_taken(more: dict[str, Any]) -> None:
    assert read_chat(CHAT | more) == read_chat(CHAT)


@pytest.mark.parametrize(
    ("more", "param", "complaint"),
    [
        ({"tools": [{"type": "function"}]}, "tools", "tools is not supported: it would change what is written"),
        ({"response_format": {"type": "json_object"}}, "response_format", "response_format is not supported"),
        ({"repetition_penalty": 1.1}, "repetition_penalty", "not supported"),
        ({"top_k": 40}, "top_k", "not supported"),
        ({"temprature": 1}, "temprature", "unknown field temprature; did you mean temperature?"),
        ({"prompt": "a"}, "prompt", "unknown field prompt"),
        ({"temperature": "hot"}, "temperature", 'temperature must be a number from 0 to 5, but got "hot"'),
        ({"temperature": True}, "temperature", "must be a number"),
        ({"temperature": 10**400}, "temperature", "must be a number"),
        ({"temperature": float("nan")}, "temperature", "must be a number"),
        ({"top_p": 0}, "top_p", "top_p must be a number above 0 to 1, but got 0"),
        ({"max_tokens": 0}, "max_tokens", "max_tokens must be a whole number of at least 1, but got 0"),
        ({"n": 17}, "n", "n must be a whole number from 1 to 16, but got 17"),
        ({"seed": 1.5}, "seed", "must be a whole number"),
        ({"stop": [""]}, "stop", "none of them empty"),
        ({"stop": ["a"] * 17}, "stop", "at most 16"),
        ({"stream": "yes"}, "stream", 'stream must be true or false, but got "yes"'),
        ({"stream_options": {"x": 1}}, "stream_options.x", "unknown field"),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs", "from -1 to 20"),
        ({"top_logprobs": 3}, "top_logprobs", "needs logprobs=true"),
        ({"top_logprobs": "x"}, "top_logprobs", "must be a whole number"),
        ({"stop": {}}, "stop", "must be a text"),
        ({"messages": []}, "messages", "at least one message, but got a list of 0"),
        ({"messages": [{"role": "poet", "content": "a"}]}, "messages[0].role", "must be one of system"),
        ({"messages": [{"role": "user"}]}, "messages[0].content", "must be a text"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
            "messages[0].content[0]",
            '"type": "text"',
        ),
        ({"messages": [{"role": "assistant", "tool_calls": [1]}]}, "messages[0].tool_calls", "not supported"),
        ({"chat_template_kwargs": []}, "chat_template_kwargs", "must be an object"),
        ({"model": 7}, "model", "model must be a text, but got 7"),
    ],
)
def test_what_cannot_be_done_is_refused_by_its_name(more: dict[str, Any], param: str, complaint: str) -> None:
    with pytest.raises(RefusalError) as refused:
        read_chat(CHAT | more)
    assert refused.value.status == 400
    error = refused.value.to_json()["error"]
    assert error["param"] == param and complaint in error["message"] and error["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"\xff", b"[" * 100_000, b'"a"', b'{"a": "\\ud800"}', b'{"\\uDc00": 1}']
)
def test_a_body_that_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(RefusalError, match="the body must be"):
        read_body(body)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["", "user", "text", "河"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["role", "content", "type"]), inner),
    max_leaves=6,
)
FIELDS = st.sampled_from(
    sorted({*CHAT, *TEXT, "n", "seed", "stop", "logprobs", "top_logprobs", "stream", "tools", "x"})
)


@settings(deadline=None)
@given(st.dictionaries(FIELDS, JSON))
def test_whatever_is_sent_is_read_or_refused(more: dict[str, Any]) -> None:
    for read, known in ((read_chat, CHAT), (read_text, TEXT)):
        try:
            asked = read(known | more)
        except RefusalError as refusal:
            assert refusal.status == 400
        else:
            assert 1 <= asked.n <= 16


def test_both_halves_of_a_pair_are_a_character() -> None:
    assert read_body(b'{"a": "\\ud83c\\udf0a"}') == {"a": "🌊"}


def test_the_ways_to_say_the_same_mean_the_same() -> None:
    assert read_chat(CHAT | {"max_tokens": 3, "max_completion_tokens": 4}).max_tokens == 4
    assert read_chat(CHAT | {"logprobs": True}).logprobs == 0
    assert (
        read_chat(CHAT | {"logprobs": True, "top_logprobs": 3}).logprobs == read_chat(CHAT | {"logprobs": 3}).logprobs
    )
    assert read_chat(CHAT | {"logprobs": False}).logprobs is None is read_text(TEXT | {"logprobs": False}).logprobs
    assert read_text(TEXT | {"logprobs": True}).logprobs == 0 and read_text(TEXT | {"logprobs": 2}).logprobs == 2
    assert read_chat(CHAT | {"model": "base", "adapters": "essay"}).model == "essay"
    assert read_chat(CHAT | {"stop": "a"}).stop == read_chat(CHAT | {"stop": ["a"]}).stop == ("a",)
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    asked = read_chat(CHAT | {"messages": [{"role": "developer", "content": parts}]})
    assert asked.messages == [{"role": "system", "content": "ab"}]
    assert read_text(TEXT | {"prompt": ["a", "b"]}).prompts == ["a", "b"]
    assert read_text(TEXT | {"prompt": [1, 2]}).prompts == read_text(TEXT | {"prompt": [[1, 2]]}).prompts == [[1, 2]]
    with pytest.raises(RefusalError, match="prompt must be a text, a list of texts, or tokens"):
        read_text(TEXT | {"prompt": [1, "a"]})
