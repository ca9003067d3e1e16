"""What chat templates of today do to rows: thoughts, system prompts, earlier turns, and what is said of it."""

from pathlib import Path
from typing import Any

import pytest

from harness.config.schema import Thinking
from harness.data.dataset import to_row
from harness.data.lines import Line, line_of
from harness.data.noticed import noticed
from harness.errors import HarnessError
from harness.models.base import Base
from harness.models.tokenizer import Tokenizer
from tests.templates import (
    ALWAYS_THINKING,
    BRACKETS,
    CHANNELS,
    FORGETFUL,
    HEADERS,
    NO_SYSTEM,
    THINKING,
    tokenizer_with,
)

BREAK = ("<s>", "\n\n")  # one token for two line breaks, as most models of today have
ON, OFF = {"enable_thinking": True}, {"enable_thinking": False}
SYSTEM = {"role": "system", "content": "be brief"}
ASK, ASK_MORE = {"role": "user", "content": "say yes"}, {"role": "user", "content": "and no"}
YES = {"role": "assistant", "content": "yes", "reasoning_content": "they want yes"}
NO = {"role": "assistant", "content": "no", "reasoning_content": "they want no"}
PLAIN_YES, PLAIN_NO = {"role": "assistant", "content": "yes"}, {"role": "assistant", "content": "no"}
CALL = {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "weather", "arguments": {}}}]}
REPLY = {"role": "tool", "content": "7"}


def _line(*messages: dict[str, Any], number: int = 1) -> Line:
    return line_of({"messages": list(messages)}, Path("x.jsonl"), number)


def _learned(tokenizer: Tokenizer, line: Line, thinking: Thinking = "learn") -> str:
    row = to_row(line, tokenizer, mask_prompt=True, thinking=thinking)
    return tokenizer.decode(row.tokens[row.learn].tolist())


def _said(tokenizer: Tokenizer, *lines: Line, thinking: Thinking = "learn") -> str:
    return "\n".join(noticed(lines, tokenizer, thinking))


@pytest.fixture(scope="module")
def thinker(base: Base) -> Tokenizer:
    return tokenizer_with(base, THINKING, ON, marks=BREAK)


@pytest.fixture(scope="module")
def answerer(base: Base) -> Tokenizer:
    return tokenizer_with(base, THINKING, OFF, marks=BREAK)


@pytest.mark.parametrize(
    ("thinking", "learned"),
    [
        ("learn", "<think>\nthey want yes\n</think>\n\nyes<|im_end|>"),
        ("drop", "<think>\n\n</think>\n\nyes<|im_end|>"),
        ("mask", "yes<|im_end|>"),
    ],
)
def test_thoughts_are_learned_dropped_or_masked(thinking: Thinking, learned: str, thinker: Tokenizer) -> None:
    inline = {"role": "assistant", "content": "<think>they want yes</think>yes"}
    for answer in (YES, inline, {"role": "assistant", "content": "yes", "thinking": "they want yes"}):
        assert _learned(thinker, _line(ASK, answer), thinking) == learned


def test_masked_thoughts_are_read_all_the_same(thinker: Tokenizer) -> None:
    row = to_row(_line(ASK, YES), thinker, mask_prompt=True, thinking="mask")
    assert "they want yes" in thinker.decode(row.tokens.tolist())


@pytest.mark.parametrize(
    ("thinking", "learned"),
    [
        ("learn", "<think>hm</think>\n\nyes<|im_end|>"),
        ("drop", "yes<|im_end|>"),
        ("mask", "yes<|im_end|>"),
    ],
)
def test_thoughts_in_a_ready_made_text_too(thinking: Thinking, learned: str, base: Base) -> None:
    text = "<|im_start|>user\nsay yes<|im_end|>\n<|im_start|>assistant\n<think>hm</think>\n\nyes<|im_end|>"
    assert _learned(base.tokenizer, line_of({"text": text}, Path("x.jsonl"), 1), thinking) == learned


def test_what_is_asked_without_thoughts_is_learned_from_the_answer_on(answerer: Tokenizer) -> None:
    assert _learned(answerer, _line(ASK, PLAIN_YES)) == "yes<|im_end|>"
    assert _said(answerer, _line(ASK, PLAIN_YES)) == ""


def test_an_empty_block_that_would_be_learned_is_said_with_what_to_set(thinker: Tokenizer) -> None:
    assert _learned(thinker, _line(ASK, PLAIN_YES)) == "<think>\n\n</think>\n\nyes<|im_end|>"
    assert _said(thinker, _line(ASK, PLAIN_YES)) == (
        "x.jsonl:1: the chat template puts thoughts without a thought, '<think>\\n\\n</think>\\n\\n', into what is "
        "learned; model.template_args={enable_thinking: false} has it asked for instead"
    )


def test_it_is_said_of_rows_without_thoughts_behind_others_with(thinker: Tokenizer) -> None:
    said = _said(thinker, _line(ASK, YES), _line(ASK, PLAIN_YES, number=2))
    assert said.startswith("x.jsonl:2: the chat template puts thoughts without a thought")


def test_thoughts_of_an_earlier_turn_that_a_template_strips_do_not_lose_the_turn(thinker: Tokenizer) -> None:
    inline = {"role": "assistant", "content": "<think>they want yes</think>\n\nyes"}
    for first in (YES, inline):
        line = _line(ASK, first, ASK_MORE, NO)
        assert _learned(thinker, line) == "yes<|im_end|><think>\nthey want no\n</think>\n\nno<|im_end|>"
        assert "leaves out what 1 of 2 turns think" in _said(thinker, line)


def test_an_earlier_turn_is_not_taken_for_the_question_that_says_the_same(thinker: Tokenizer) -> None:
    row = to_row(_line(ASK, PLAIN_YES, ASK_MORE, PLAIN_NO), thinker, mask_prompt=True)
    text = thinker.decode(row.tokens[: int(row.learn.argmax())].tolist())
    assert text.endswith("<|im_start|>assistant\n")


def test_calls_of_tools_between_thoughts_are_learned_whole(thinker: Tokenizer) -> None:
    learned = _learned(thinker, _line(ASK, CALL, REPLY, PLAIN_NO))
    assert learned.startswith("<tool_call>") and "</tool_call><|im_end|><think>\n\n</think>\n\nno<|im_end|>" in learned


def test_thoughts_that_are_asked_for_as_none_are_learned_and_said(answerer: Tokenizer) -> None:
    """With enable_thinking=false the prompt closes them, and the rows have some."""
    assert _learned(answerer, _line(ASK, YES)) == "they want yes\n</think>\n\nyes<|im_end|>"
    said = _said(answerer, _line(ASK, YES))
    assert "x.jsonl:1: the last turn is learned otherwise than asked: '" in said
    assert "<think>\\n\\n</think>\\n\\n' is asked at generation, '" in said
    assert "<think>\\nthey want yes" in said and said.endswith("see model.template_args and data.thinking")


def test_an_earlier_turn_that_is_asked_for_otherwise_is_said(answerer: Tokenizer) -> None:
    assert "an earlier turn is learned otherwise than asked" in _said(
        answerer, _line(ASK, PLAIN_YES, ASK_MORE, PLAIN_NO)
    )


def test_a_prompt_that_opens_the_thoughts_of_rows_that_have_none_is_said(base: Base) -> None:
    said = _said(tokenizer_with(base, ALWAYS_THINKING), _line(ASK, PLAIN_YES))
    assert "<|im_start|>assistant\\n<think>\\n' is asked at generation" in said


def test_thoughts_go_by_the_name_that_the_template_knows(base: Base) -> None:
    channels = tokenizer_with(base, CHANNELS)
    assert "<|message|>they want yes<|end|>" in _learned(channels, _line(ASK, YES))
    assert _learned(channels, _line(ASK, YES), "mask") == "yes<|return|>"
    assert "they want" not in _learned(channels, _line(ASK, YES), "drop")


def test_an_earlier_turn_that_another_marker_closes_is_learned_whole(base: Base) -> None:
    learned = _learned(tokenizer_with(base, CHANNELS), _line(ASK, PLAIN_YES, ASK_MORE, PLAIN_NO))
    assert learned == "<|channel|>final<|message|>yes<|end|><|channel|>final<|message|>no<|return|>"


def test_a_template_that_knows_no_thoughts_is_named(base: Base) -> None:
    assert "x.jsonl:1: the chat template leaves out what the assistant thinks; write it as <think>…</think>" in _said(
        tokenizer_with(base, HEADERS, marks=BREAK), _line(ASK, YES)
    )
    assert _said(tokenizer_with(base, HEADERS, marks=BREAK), _line(ASK, YES), thinking="drop") == ""


def test_a_refused_system_prompt_goes_before_the_first_turn_in_rows_and_prompts(base: Base) -> None:
    tokenizer = tokenizer_with(base, NO_SYSTEM, marks=("<bos>", "<start_of_turn>", "<end_of_turn>"))
    line = _line(SYSTEM, ASK, PLAIN_YES, ASK_MORE, PLAIN_NO)
    row = to_row(line, tokenizer, mask_prompt=True)
    assert tokenizer.decode(row.tokens.tolist()).startswith(
        "<bos><start_of_turn>user\nbe brief\n\nsay yes<end_of_turn>"
    )
    assert _learned(tokenizer, line) == "yes<end_of_turn>no<end_of_turn>"
    assert _said(tokenizer, line) == (
        "x.jsonl:1: the chat template refuses a system prompt: it goes before the first user turn, in writing too"
    )
    prompt = tokenizer.render([SYSTEM, ASK], add_generation_prompt=True)
    assert prompt == "<bos><start_of_turn>user\nbe brief\n\nsay yes<end_of_turn>\n<start_of_turn>model\n"


def test_turns_that_a_template_refuses_are_named_with_its_words(base: Base) -> None:
    tokenizer = tokenizer_with(base, NO_SYSTEM, marks=("<bos>",))
    with pytest.raises(HarnessError, match=r"x.jsonl:1: the chat template of other refused .*must alternate"):
        to_row(_line(SYSTEM, ASK, ASK_MORE, PLAIN_NO), tokenizer, mask_prompt=True)


def test_the_first_row_of_each_kind_is_looked_at(base: Base) -> None:
    tokenizer = tokenizer_with(base, NO_SYSTEM, marks=("<bos>",))
    assert _said(tokenizer, _line(ASK, PLAIN_YES), _line(SYSTEM, ASK, PLAIN_YES, number=2)).startswith("x.jsonl:2: ")


def test_a_templates_own_beginning_is_the_only_one(base: Base) -> None:
    tokenizer = tokenizer_with(base, HEADERS, marks=("<|begin_of_text|>", "<|eot_id|>", "\n\n"))
    line = _line(SYSTEM, ASK, PLAIN_YES)
    row = to_row(line, tokenizer, mask_prompt=True)
    assert row.tokens.tolist().count(tokenizer.begin_id) == 1
    assert _learned(tokenizer, line) == "yes<|eot_id|>" and _said(tokenizer, line) == ""


def test_a_prompt_whose_tokens_an_answer_changes_is_said(base: Base) -> None:
    """The tiny base's tokens are cut as GPT-2's: two line breaks are one token at the end, two before a word."""
    said = _said(tokenizer_with(base, HEADERS, marks=("<s>", "<|eot_id|>")), _line(ASK, PLAIN_YES))
    assert "assistant<|end_header_id|>\\n\\n' are others once an answer follows it" in said


def test_two_beginnings_are_said(base: Base) -> None:
    tokenizer = tokenizer_with(base, HEADERS, marks=("<s>",))
    text = "<s><s>[INST] say yes [/INST] yes</s>"
    assert "x.jsonl:1: begins with two beginning-of-text tokens" in _said(
        tokenizer, line_of({"text": text}, Path("x.jsonl"), 1)
    )


def test_calls_of_tools_pass_a_template_that_wants_turns_to_alternate(base: Base) -> None:
    tokenizer = tokenizer_with(base, BRACKETS, marks=("<s>", "[INST]", "[/INST]"))
    learned = _learned(tokenizer, _line(SYSTEM, ASK, CALL, REPLY, PLAIN_NO))
    assert learned.startswith("[CALLS]") and learned.endswith("no<|im_end|>")
    assert _said(tokenizer, _line(SYSTEM, ASK, CALL, REPLY, PLAIN_NO)) == ""


def test_a_template_that_forgets_turns_is_named(base: Base) -> None:
    with pytest.raises(HarnessError, match=r"x.jsonl:1: the chat template changes or drops an assistant turn"):
        to_row(_line(ASK, PLAIN_YES, ASK_MORE, PLAIN_NO), tokenizer_with(base, FORGETFUL), mask_prompt=True)
    said = _said(tokenizer_with(base, FORGETFUL), _line(SYSTEM, ASK, PLAIN_YES))
    assert "x.jsonl:1: the chat template leaves out or changes what the system says" in said


def test_a_base_without_a_template_says_what_lines_it_takes(base: Base) -> None:
    bare = tokenizer_with(base, None)
    with pytest.raises(HarnessError, match=r"x.jsonl:1: other has no chat template, .* use \{\"text\": …\} lines"):
        to_row(_line(SYSTEM, ASK, PLAIN_YES), bare, mask_prompt=True)
    text = line_of({"text": "### Instruction:\na\n\n### Response:\n<think>hm</think>b"}, Path("x.jsonl"), 1)
    assert (_learned(bare, text, "drop"), _said(bare, text)) == ("b<|im_end|>", "")
