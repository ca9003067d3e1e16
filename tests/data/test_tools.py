"""Rows with calls of tools pass through a template that knows them, and are refused by name where it drops them."""

from pathlib import Path
from typing import Any

import pytest
from mlx_lm.tokenizer_utils import TokenizerWrapper
from transformers import PreTrainedTokenizerFast

from harness.data.dataset import to_row
from harness.data.lines import Line, line_of
from harness.errors import HarnessError
from harness.models.base import Base
from harness.models.tokenizer import Tokenizer

TOOL = {"type": "function", "function": {"name": "weather", "parameters": {}}}
CALL = {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "weather", "arguments": {}}}]}
ASKED, REPLY, END = (
    {"role": "user", "content": "a"},
    {"role": "tool", "content": "7"},
    {"role": "assistant", "content": "b"},
)

# as Qwen's does: tools in the system's turn, calls in the assistant's
KNOWS_TOOLS = (
    "{% if tools %}<|im_start|>system\n{{ tools | tojson }}<|im_end|>\n{% endif %}"
    "{% for message in messages %}{{ '<|im_start|>' + message.role + '\n' + message.content }}"
    "{% for call in message.tool_calls %}<tool_call>{{ call | tojson }}</tool_call>{% endfor %}"
    "{{ '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
ROLES_ALONE = "{% for message in messages if message.role != 'tool' %}" + KNOWS_TOOLS.partition("in messages %}")[2]


def _line(messages: list[dict[str, Any]], tools: list[Any] | None = None) -> Line:
    return line_of({"messages": messages, "tools": tools}, Path("x.jsonl"), 1)


def _tokenizer(base: Base, template: str) -> Tokenizer:
    fast = PreTrainedTokenizerFast.from_pretrained(base.folder)
    fast.chat_template = template
    return Tokenizer(TokenizerWrapper(fast), "other")


def test_calls_of_tools_are_learned_and_replies_are_not(base: Base) -> None:
    tokenizer = _tokenizer(base, KNOWS_TOOLS)
    row = to_row(_line([ASKED, CALL, REPLY, END], [TOOL]), tokenizer, mask_prompt=True)
    assert '"weather"' in tokenizer.decode(row.tokens.tolist()).partition("<|im_start|>user")[0]
    learned = tokenizer.decode(row.tokens[row.learn].tolist())
    assert learned.startswith("<tool_call>") and learned.endswith("</tool_call><|im_end|>b<|im_end|>")


@pytest.mark.parametrize(
    ("messages", "tools", "dropped"),
    [
        ([ASKED, CALL, REPLY, END], None, "drops tool_calls"),
        ([ASKED, END], [TOOL], "drops tools"),
    ],
)
def test_a_template_that_drops_tools_is_named(
    messages: list[dict[str, Any]], tools: list[Any] | None, dropped: str, base: Base
) -> None:
    with pytest.raises(HarnessError, match=f"x.jsonl:1: the chat template {dropped}"):
        to_row(_line(messages, tools), base.tokenizer, mask_prompt=True)


def test_a_template_that_drops_replies_is_named(base: Base) -> None:
    with pytest.raises(HarnessError, match="the chat template drops the reply of a tool"):
        to_row(_line([ASKED, END, REPLY, END]), _tokenizer(base, ROLES_ALONE), mask_prompt=True)
