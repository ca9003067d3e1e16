"""Whether texts are asked for as the rows are learned, and what the chat template does to them: warnings, a line each.

Knows the rows to train on and how prompts are made; nothing of models.
"""

from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from harness.config.schema import Config
from harness.data.dataset import mark
from harness.data.lines import Line, first_lines
from harness.data.noticed import difference, noticed
from harness.data.turns import user_turns
from harness.errors import HarnessError
from harness.models.tokenizer import Tokenizer
from harness.sampling.prompts import prompt_for, variants

_LOOKED_AT = 100  # rows: one that is asked for as it was learned is enough


def wording_said(config: Config, file: Path, tokenizer: Tokenizer) -> list[str]:
    """What to say of the first rows of `file`, which could be read."""
    rows = list(islice(first_lines(file, config.data.labels), _LOOKED_AT))
    return [*noticed(rows, tokenizer, config.data.thinking), *_prompts_said(config, rows, tokenizer)]


def _prompts_said(config: Config, rows: Sequence[Line], tokenizer: Tokenizer) -> list[str]:
    """One line when no row begins as the prompts of generate.prompts would for what its user says."""
    first: str | None = None
    for line in rows:
        try:
            said = _said_of(config, line, tokenizer)
        except HarnessError:
            continue
        if said == "":
            return []
        first = first or said
    return [] if first is None or not config.generate.prompts else [first]


def _said_of(config: Config, line: Line, tokenizer: Tokenizer) -> str | None:
    """Empty where prompt and row agree; None for a row without turns, which says nothing of prompts."""
    marked = mark(line, tokenizer, config.data.thinking)
    theme = _theme(line, marked.text[: marked.spans[0][1]] if marked.spans else "")
    if theme is None:
        return None
    way = variants(config.prompt, "all")[0]
    asked = prompt_for(tokenizer, way, theme, system=config.data.system, fields=config.prompt.fields).text
    if marked.text.startswith(asked):
        return ""
    return (
        f"{line.place}: the prompts of samples are other than the rows': {difference(asked, marked.text)}; "
        "see data.system, prompt and model.template_args"
    )


def _theme(line: Line, until_answer: str) -> str | None:
    """What the user says before the assistant first answers, where that is one thing."""
    if line.messages is None:
        return next(reversed(user_turns(until_answer)), None)
    before = [message["role"] for message in line.messages]
    first = before.index("assistant")
    if before[:first] not in (["user"], ["system", "user"]) or line.tools:
        return None
    return str(line.messages[first - 1]["content"])
