"""From a theme to the prompts that the model was trained on, and to departures from them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from harness.config.schema import PromptConfig
from harness.errors import HarnessError
from harness.models.tokenizer import Tokenizer

_PLACE = re.compile(r"\{(\w+)\}")
_CHAT = "chat"


@dataclass(frozen=True)
class Variant:
    """One way to put a theme to the model. `number` counts from 0 in the order of prompt.templates."""

    name: str
    number: int
    template: str


@dataclass(frozen=True)
class Prompt:
    """`special`: whether the tokenizer's own marks, such as <s>, go around it."""

    text: str
    special: bool

    def ids(self, tokenizer: Tokenizer) -> list[int]:
        return tokenizer.encode(self.text, special=self.special).ids


def variants(config: PromptConfig, wanted: str | list[str]) -> list[Variant]:
    """Those named, or all of them for "all".

    Raises:
        HarnessError: for a name that is not there.
    """
    every = [Variant(name, number, text) for number, (name, text) in enumerate(config.templates.items())]
    if wanted == "all":
        return every
    names = [wanted] if isinstance(wanted, str) else wanted
    for name in names:
        if name not in config.templates:
            raise HarnessError(f"variants={name} must be all, or of {', '.join(config.templates)}; see conf/prompt")
    return [variant for variant in every if variant.name in names]


def prompt_for(
    tokenizer: Tokenizer, variant: Variant, theme: str, *, system: str | None, fields: Mapping[str, str]
) -> Prompt:
    """The template filled in.

    Raises:
        HarnessError: for an empty theme, or a place in the template that nothing fills.
    """
    if not theme.strip():
        raise HarnessError("a theme must not be empty")
    values = {"theme": theme, "system": system or "", **fields}
    by_template = _CHAT in _PLACE.findall(variant.template) and tokenizer.has_template

    def fill(place: re.Match[str]) -> str:
        name = place[1]
        if name == _CHAT:
            return _chat(tokenizer, theme, system)
        if name not in values:
            known = ", ".join(["chat", *values])
            raise HarnessError(f"prompt.templates.{variant.name} has {{{name}}}, but there is only {known}")
        return values[name]

    return Prompt(_PLACE.sub(fill, variant.template), special=not by_template)


def _chat(tokenizer: Tokenizer, theme: str, system: str | None) -> str:
    """The chat template around the system prompt and the theme alone, up to the assistant's turn."""
    if not tokenizer.has_template:
        return f"{theme}\n"
    messages = [{"role": "system", "content": system}] if system else []
    return tokenizer.render([*messages, {"role": "user", "content": theme}], add_generation_prompt=True)
