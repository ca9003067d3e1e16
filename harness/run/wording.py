"""Whether texts are asked for as the rows are learned, and what the chat template does to them: warnings, a line each.

Knows the rows to train on and how prompts are made; nothing of models.
"""

from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from harness.config.schema import Config
from harness.data.lines import Line, first_lines
from harness.data.noticed import difference, noticed
from harness.data.turns import mark_text, user_turns
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
    """Empty where prompt and row agree; None for a row whose first answer follows something else than one turn."""
    found = _first_turn(line, tokenizer)
    if found is None:
        return None
    theme, there = found
    way = variants(config.prompt, "all")[0]
    asked = prompt_for(tokenizer, way, theme, system=config.data.system, fields=config.prompt.fields).text
    if asked == there:
        return ""
    return (
        f"{line.place}: the prompts of samples are other than the rows': {difference(asked, there)}; "
        "see data.system, prompt and model.template_args"
    )


def _first_turn(line: Line, tokenizer: Tokenizer) -> tuple[str, str] | None:
    """What the user says before the assistant first answers, and all of the row up to that answer."""
    if line.messages is None:
        assert line.text is not None, "a line has messages or text"
        spans = mark_text(line.text).spans
        said = user_turns(line.text[: spans[0][0]]) if spans else []
        return (said[-1], line.text[: spans[0][0]]) if said else None
    roles = [message["role"] for message in line.messages]
    first = roles.index("assistant")
    if roles[:first] not in (["user"], ["system", "user"]) or line.tools:
        return None
    there = tokenizer.render(line.messages[:first], add_generation_prompt=True)
    return str(line.messages[first - 1]["content"]), there
