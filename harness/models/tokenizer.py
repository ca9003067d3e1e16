"""Text to tokens and back, with the position of each token in the text.

Wraps mlx-lm's tokenizer wrapper; knows nothing of rows, masks or splits.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from harness.errors import HarnessError

Message = dict[str, Any]


@dataclass(frozen=True)
class Encoded:
    """Token ids, and for each the half-open range of characters that it covers."""

    ids: list[int]
    spans: list[tuple[int, int]]


# for templates that write the day's date: the one that Llama's say where they are told none
_DATE = datetime(2024, 7, 26)


class Tokenizer:
    """`notes`: what to know of it before it is used."""

    def __init__(self, wrapper: Any, base: str) -> None:
        self.notes: list[str] = []
        self.mlx_lm = wrapper
        self._base = base
        self._fast = wrapper._tokenizer
        if not self._fast.is_fast:
            raise HarnessError(
                f"the tokenizer of {base} must be a fast one (tokenizer.json), but it has only a slow one"
            )
        self._settings: dict[str, Any] = {}
        if wrapper._chat_template is None and "strftime_now" in str(self._fast.chat_template):
            self._settings = {"chat_template": _with_fixed_date(self._fast.get_chat_template())}
            self.notes.append(
                f"the chat template of {base} writes the day's date: it gets {_DATE:%d %B %Y} on every day, "
                "so that the same lines make the same run"
            )

    @property
    def has_template(self) -> bool:
        return bool(self.mlx_lm.has_chat_template)

    @property
    def end_ids(self) -> set[int]:
        return set(self.mlx_lm.eos_token_ids)

    @property
    def end_id(self) -> int:
        return int(self._fast.eos_token_id)

    def encode(self, text: str, *, special: bool) -> Encoded:
        """Tokens of `text`; `special` adds what the tokenizer itself puts around a text, such as <s>."""
        begin = self._fast.bos_token
        special = special and not (begin and text.startswith(begin))
        result = self._fast(text, add_special_tokens=special, return_offsets_mapping=True)
        return Encoded(list(result["input_ids"]), [tuple(span) for span in result["offset_mapping"]])

    def count(self, text: str) -> int:
        """How many tokens `text` has without special ones, in half of encode's time: nobody asks where they stand."""
        backend = self._fast.backend_tokenizer
        if backend.truncation is not None:  # some tokenizer.json bring one along
            backend.no_truncation()
        return len(backend.encode_batch_fast([text], add_special_tokens=False)[0])

    def render(
        self, messages: Sequence[Message], *, add_generation_prompt: bool, tools: Sequence[Any] | None = None
    ) -> str:
        """The text that the model's chat template makes of `messages`, and of the `tools` they may call.

        Raises:
            HarnessError: when the model has no template, or its template refuses the messages.
        """
        if not self.has_template:
            raise HarnessError(
                f"{self._base} has no chat template, which lines with messages or prompt need; "
                'use {"text": …} lines or an instruction-tuned model'
            )
        settings = self._settings | ({"tools": list(tools)} if tools else {})
        try:
            return str(
                self.mlx_lm.apply_chat_template(
                    list(messages), tokenize=False, add_generation_prompt=add_generation_prompt, **settings
                )
            )
        except Exception as error:  # jinja2 raises what a template's author wrote
            raise HarnessError(f"the chat template of {self._base} refused the messages: {error}") from error

    def decode(self, ids: Sequence[int]) -> str:
        return str(self._fast.decode(list(ids)))


def _with_fixed_date(template: str) -> str:
    """A macro in the place of the function by which templates of transformers ask for the day's date.

    A function cannot be handed to them. Formats that are not written out in the template get an ISO date.
    """
    formats = {found[2] for found in re.finditer(r"""strftime_now\(\s*(['"])(.*?)\1""", template)}
    dates = json.dumps({format: _DATE.strftime(format) for format in sorted(formats)})
    macro = "{%- macro strftime_now(format) -%}{{ " + dates + ".get(format, '" + f"{_DATE:%Y-%m-%d}" + "') }}"
    return macro + "{%- endmacro -%}{{ '' }}" + template  # what is empty keeps the template's first line as it is
