"""From a theme to the prompt that the model was trained on."""

from harness.errors import HarnessError
from harness.models.tokenizer import Tokenizer


def themed_prompt(tokenizer: Tokenizer, theme: str, system: str | None) -> str:
    """The chat template around the system prompt and the theme alone, up to the assistant's turn.

    A base model without a chat template gets the theme and a line break.
    """
    if not theme.strip():
        raise HarnessError("a theme must not be empty")
    if not tokenizer.has_template:
        return f"{theme}\n"
    messages = [{"role": "system", "content": system}] if system else []
    return tokenizer.render([*messages, {"role": "user", "content": theme}], add_generation_prompt=True)
