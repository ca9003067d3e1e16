"""Chat templates in the shapes that models of today have, and tokenizers with them on the tiny base's vocabulary.

Each is written for the tests: what such a template does, in as few words as it takes.
"""

from collections.abc import Mapping
from typing import Any

from mlx_lm.tokenizer_utils import TokenizerWrapper
from transformers import PreTrainedTokenizerFast

from harness.models.base import Base
from harness.models.tokenizer import Tokenizer

# thoughts of the turns after the last question alone; an empty block in the last one, and in the prompt when off
THINKING = """
{%- set last = namespace(asked=0) -%}
{%- for m in messages if m.role == 'user' %}{% set last.asked = messages.index(m) %}{% endfor -%}
{%- for m in messages -%}
  {{- '<|im_start|>' + m.role + '\n' -}}
  {%- if m.role == 'assistant' -%}
    {%- set thought = m.reasoning_content or '' -%}
    {%- set answer = m.content -%}
    {%- if not thought and '</think>' in answer -%}
      {%- set thought = answer.split('</think>')[0].split('<think>')[-1].strip() -%}
      {%- set answer = answer.split('</think>')[-1].lstrip('\n') -%}
    {%- endif -%}
    {%- if loop.index0 > last.asked and (loop.last or thought) -%}
      {{- '<think>\n' + thought + '\n</think>\n\n' -}}
    {%- endif -%}
    {{- answer -}}
    {%- for call in m.tool_calls or [] %}{{ '<tool_call>' + (call | tojson) + '</tool_call>' }}{% endfor -%}
  {%- else -%}{{- m.content -}}{%- endif -%}
  {{- '<|im_end|>\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}
  {{- '<|im_start|>assistant\n' -}}
  {%- if enable_thinking is defined and not enable_thinking %}{{ '<think>\n\n</think>\n\n' }}{% endif -%}
{%- endif -%}
"""

# the prompt opens the thoughts
ALWAYS_THINKING = """
{%- for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor -%}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\n<think>\n' }}{% endif -%}
"""

# no system prompt, and turns must alternate
NO_SYSTEM = """
{{- bos_token -}}
{%- if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif -%}
{%- for m in messages -%}
  {%- if (m.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Roles must alternate') }}{% endif -%}
  {{- '<start_of_turn>' + ('model' if m.role == 'assistant' else m.role) + '\n' + (m.content | trim) -}}
  {{- '<end_of_turn>\n' -}}
{%- endfor -%}
{%- if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif -%}
"""

# headers, and a beginning-of-text token
HEADERS = """
{{- bos_token -}}
{%- for m in messages -%}
  {{- '<|start_header_id|>' + m.role + '<|end_header_id|>\n\n' + (m.content | trim) + '<|eot_id|>' -}}
{%- endfor -%}
{%- if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif -%}
"""

# brackets; calls of tools must be followed by their replies, and turns alternate otherwise
BRACKETS = """
{{- bos_token -}}
{%- if messages[0].role == 'system' %}{% set first = messages[0].content + '\n\n' %}{% set messages = messages[1:] %}
{%- else %}{% set first = '' %}{% endif -%}
{%- set count = namespace(plain=0) -%}
{%- for m in messages if m.role != 'tool' and not m.tool_calls -%}
  {%- if (m.role == 'user') != (count.plain % 2 == 0) %}{{ raise_exception('Roles must alternate') }}{% endif -%}
  {%- set count.plain = count.plain + 1 -%}
{%- endfor -%}
{%- for m in messages -%}
  {%- if m.role == 'user' %}{{ '[INST]' + (first if loop.first else '') + m.content + '[/INST]' }}
  {%- elif m.role == 'tool' %}{{ '[RESULT]' + m.content + '[/RESULT]' }}
  {%- elif m.tool_calls %}{{ '[CALLS]' + (m.tool_calls | tojson) + eos_token }}
  {%- else %}{{ m.content + eos_token }}{% endif -%}
{%- endfor -%}
"""

# a channel for thoughts and one for the answer; thoughts by another name
CHANNELS = """
{%- for m in messages -%}
  {%- if m.role == 'assistant' -%}
    {%- if m.thinking and loop.last -%}
      {{- '<|start|>assistant<|channel|>analysis<|message|>' + m.thinking + '<|end|>' -}}
    {%- endif -%}
    {{- '<|start|>assistant<|channel|>final<|message|>' + m.content + ('<|return|>' if loop.last else '<|end|>') -}}
  {%- else %}{{ '<|start|>' + m.role + '<|message|>' + m.content + '<|end|>' }}{% endif -%}
{%- endfor -%}
{%- if add_generation_prompt %}{{ '<|start|>assistant' }}{% endif -%}
"""

# only what was said last
FORGETFUL = "{% for m in messages[-2:] %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"


def tokenizer_with(
    base: Base, template: str | None, args: Mapping[str, Any] | None = None, *, marks: tuple[str, ...] = ()
) -> Tokenizer:
    """`marks`: added as special tokens, the first as the one that begins a text."""
    fast = PreTrainedTokenizerFast.from_pretrained(base.folder)
    if marks:
        fast.add_special_tokens({"bos_token": marks[0], "additional_special_tokens": list(marks[1:])})
    fast.chat_template = template
    return Tokenizer(TokenizerWrapper(fast), "other", args)
