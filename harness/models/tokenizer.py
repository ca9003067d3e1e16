"""Text to tokens and back, with the position of each token in the text; messages to text by the model's own template.

Wraps mlx-lm's tokenizer wrapper; knows nothing of rows, masks or splits.
"""

import inspect
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from harness.data.thinking import THOUGHTS
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
    """`notes`: what to know of it before it is used. `template_args`: what its chat template is given.

    Raises:
        HarnessError: for a tokenizer that gives no positions, or an argument that is not the user's to give.
    """

    def __init__(self, wrapper: Any, base: str, template_args: Mapping[str, Any] | None = None) -> None:
        self.notes: list[str] = []
        self.mlx_lm = wrapper
        self._base = base
        self._fast = wrapper._tokenizer
        if not self._fast.is_fast:
            raise HarnessError(
                f"the tokenizer of {base} must be a fast one (tokenizer.json), but it has only a slow one"
            )
        self._settings: dict[str, Any] = dict(template_args or {})
        self.notes += self._arguments_said()
        if wrapper._chat_template is None and "strftime_now" in str(self._fast.chat_template):
            self._settings["chat_template"] = _with_fixed_date(self._fast.get_chat_template())
            self.notes.append(
                f"the chat template of {base} writes the day's date: it gets {_DATE:%d %B %Y} on every day, "
                "so that the same lines make the same run"
            )

    def asked_with(self, template_args: Mapping[str, Any]) -> "Tokenizer":
        """The same with other arguments for its template."""
        return Tokenizer(self.mlx_lm, self._base, template_args)

    @property
    def has_template(self) -> bool:
        return bool(self.mlx_lm.has_chat_template)

    @property
    def template(self) -> str | None:
        """The chat template's own text; None for one that is no text, or where there is none."""
        text = self._fast.chat_template
        return text if isinstance(text, str) and self.mlx_lm._chat_template is None else None

    @property
    def end_ids(self) -> set[int]:
        return set(self.mlx_lm.eos_token_ids)

    @property
    def end_id(self) -> int:
        return int(self._fast.eos_token_id)

    @property
    def begin_id(self) -> int | None:
        """The token that begins a text, where the model has one."""
        return None if self._fast.bos_token_id is None else int(self._fast.bos_token_id)

    @property
    def begin_mark(self) -> str:
        """The text of the token that the tokenizer itself puts before a text; empty where it puts none."""
        begins = self.begin_id is not None and self.encode("a", special=True).ids[:1] == [self.begin_id]
        return str(self._fast.bos_token) if begins else ""

    @property
    def end_marks(self) -> list[str]:
        """The texts of the tokens that end an answer."""
        return [str(self._fast.convert_ids_to_tokens(token)) for token in sorted(self.end_ids)]

    @cached_property
    def refuses_system(self) -> bool:
        """Whether the template takes a user's turn, but none after a system prompt: then `render` makes one of both."""
        user = {"role": "user", "content": "a"}
        try:
            self._rendered([user], add_generation_prompt=True)
        except HarnessError:
            return False
        try:
            self._rendered([{"role": "system", "content": "b"}, user], add_generation_prompt=True)
        except HarnessError:
            return True
        return False

    def knows(self, name: str) -> bool:
        """Whether the template has this word, such as an argument's name; True where it is no text to look into."""
        if self.mlx_lm._chat_template is not None:
            return True
        return re.search(rf"\b{re.escape(name)}\b", str(self._fast.chat_template or "")) is not None

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

        What a message thinks goes by the name that the template knows. A system prompt that the template refuses goes
        before the first user turn.

        Raises:
            HarnessError: when the model has no template, or its template refuses the messages.
        """
        called = [self._with_known_thoughts(message) for message in messages]
        return self._rendered(self.accepted(called), add_generation_prompt=add_generation_prompt, tools=tools)

    def accepted(self, messages: list[Message]) -> list[Message]:
        """The same, or with the system prompt before the first user turn where the template refuses one."""
        refused = messages and messages[0]["role"] == "system" and self.refuses_system
        return _with_system_as_user(messages) if refused else messages

    def _rendered(
        self, messages: Sequence[Message], *, add_generation_prompt: bool, tools: Sequence[Any] | None = None
    ) -> str:
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

    def _with_known_thoughts(self, message: Message) -> Message:
        said = next((name for name in THOUGHTS if isinstance(message.get(name), str)), None)
        known = next((name for name in THOUGHTS if self.knows(name)), None)
        if said is None or known is None or self.knows(said):
            return message
        return {known if name == said else name: value for name, value in message.items()}

    def _arguments_said(self) -> list[str]:
        """What to say of the template's arguments; jinja passes over those that a template does not ask for."""
        if ours := sorted(self._settings.keys() & _ours()):
            raise HarnessError(f"model.template_args must not hold {ours[0]}, which the harness gives; leave it out")
        unknown = [name for name in self._settings if not self.knows(name)]
        if not unknown:
            return []
        return [
            f"model.template_args: {', '.join(unknown)} does not occur in the chat template of {self._base}, "
            "so it changes nothing; look for its name there"
        ]

    def piece(self, token: int) -> str:
        """A token as the vocabulary has it, which is not how it reads; empty for one that only the weights know."""
        return str(self._fast.convert_ids_to_tokens(token) or "")

    def decode(self, ids: Sequence[int]) -> str:
        return str(self._fast.decode(list(ids)))


def _ours() -> set[str]:
    """What the template is called with besides: no argument of the user's."""
    from transformers import PreTrainedTokenizerBase

    return {"messages", *inspect.signature(PreTrainedTokenizerBase.apply_chat_template).parameters} - {"documents"}


def _with_system_as_user(messages: Sequence[Message]) -> list[Message]:
    """The system prompt and a blank line before the first user turn, or as that turn where none follows."""
    system, *others = messages
    if not others or others[0]["role"] != "user":
        return [{**system, "role": "user"}, *others]
    return [{**others[0], "content": f"{system['content']}\n\n{others[0]['content']}"}, *others[1:]]


def _with_fixed_date(template: str) -> str:
    """A macro in the place of the function by which templates of transformers ask for the day's date.

    A function cannot be handed to them. Formats that are not written out in the template get an ISO date.
    """
    formats = {found[2] for found in re.finditer(r"""strftime_now\(\s*(['"])(.*?)\1""", template)}
    dates = json.dumps({format: _DATE.strftime(format) for format in sorted(formats)})
    macro = "{%- macro strftime_now(format) -%}{{ " + dates + ".get(format, '" + f"{_DATE:%Y-%m-%d}" + "') }}"
    return macro + "{%- endmacro -%}{{ '' }}" + template  # what is empty keeps the template's first line as it is
