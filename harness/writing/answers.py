"""What an adapter answers: a theme is asked as its run recorded, a prompt is taken as it is, messages as a chat.

The same texts as harness.generate writes with the same settings. Knows nothing of MLflow, nor of how rows come.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from harness.config.paths import CONF
from harness.config.schema import GenerateConfig, ModelConfig
from harness.config.yaml_file import read_mapping
from harness.console.progress import Display
from harness.errors import HarnessError
from harness.models.adapter import loaded
from harness.models.adapter_files import AdapterFiles
from harness.models.adapter_reading import read_adapter
from harness.models.base import Base, open_base
from harness.models.tokenizer import Tokenizer
from harness.sampling.prompts import Prompt, Variant, prompt_for, variants
from harness.sampling.samples import Planned
from harness.sampling.write import mixed_seed, write
from harness.writing.asked import Asked, as_recorded

_KINDS = ("theme", "prompt", "messages")
_USUAL_VARIANT = "base"  # of harness.generate


@dataclass(frozen=True)
class Answers:
    """An adapter that is on its base for good. `worn` keeps it there; `tokenizer` asks as in training."""

    base: Base
    adapter: AdapterFiles
    tokenizer: Tokenizer
    asked: Asked
    usual: GenerateConfig
    worn: ExitStack

    def write(self, rows: Sequence[Any], params: Mapping[str, Any]) -> list[str]:
        """A text for each row.

        Raises:
            HarnessError: for a row or a setting that cannot be.
        """
        settings = _with(self.usual, params)
        planned = [self._planned(row, number, settings) for number, row in enumerate(rows, start=1)]
        texts = {sample.id: sample.text for sample in write(self.base.model, self.base.tokenizer, planned, settings)}
        return [texts[each.id] for each, _ in planned]

    def _planned(self, row: Any, number: int, settings: GenerateConfig) -> tuple[Planned, Prompt]:
        kind, value = _asked_for(row, number)
        prompt = self._prompt(kind, value, number)
        planned = Planned(
            base=self.base.path,
            adapter=self.adapter.source,
            theme=value if kind == "theme" else prompt.text,
            variant=kind,
            code=None,
            index=0,
            prompt=prompt.text,
            seed=mixed_seed(settings.seed, prompt.text, 0),
            temperature=settings.temperature,
            top_p=settings.top_p,
            max_tokens=settings.max_tokens,
        )
        return planned, prompt

    def _prompt(self, kind: str, value: Any, number: int) -> Prompt:
        if kind == "messages":
            if not isinstance(value, list) or not value or not all(map(_is_message, value)):
                raise HarnessError(f"row {number}: messages must be a list of role and content, but got {value!r:.60}")
            try:
                rendered = self.tokenizer.render([dict(each) for each in value], add_generation_prompt=True)
            except HarnessError as error:
                raise HarnessError(f"row {number}: {error}") from error
            return Prompt(rendered, special=False)
        if not isinstance(value, str) or not value.strip():
            raise HarnessError(f"row {number}: {kind} must be a text, but got {value!r:.60}")
        if kind == "prompt":
            return Prompt(value, special=True)
        return prompt_for(
            self.tokenizer,
            _variant(self.asked),
            value,
            system=self.asked.system,
            fields=self.asked.prompt.fields,
        )


def open_answers(folder: Path) -> Answers:
    """Put the adapter of a folder on the base that it names, and read all weights.

    Raises:
        HarnessError: when one of the two is not there, or they do not fit.
    """
    adapter = read_adapter(folder)
    base = _base(adapter)
    worn = ExitStack()
    worn.enter_context(loaded(base.model, adapter))
    base.materialize()
    usual = GenerateConfig(**read_mapping(CONF / "generate" / "default.yaml"))
    return Answers(
        base, adapter, base.tokenizer.asked_with(adapter.spec.template_args), as_recorded(adapter), usual, worn
    )


def _base(adapter: AdapterFiles) -> Base:
    spec = adapter.spec
    if spec.base is None:
        raise HarnessError(f"{adapter.source} does not say what base it was trained on; train it with harness.train")
    base = open_base(ModelConfig(path=spec.base, revision=None), setting=f"the base of {adapter.source}")
    if spec.base_revision not in (None, base.revision, base.former_revision):
        Display().say(
            f"warning: {adapter.source} is of {spec.base} at {spec.base_revision}, which is at {base.revision} now"
        )
    return base


def _variant(asked: Asked) -> Variant:
    every = variants(asked.prompt, "all")
    return next((each for each in every if each.name == _USUAL_VARIANT), every[0])


def _asked_for(row: Any, number: int) -> tuple[str, Any]:
    """Which of the kinds a row is, and its value. What is empty in a data frame is not there."""
    if isinstance(row, str):
        return "theme", row
    given = {key: value for key, value in row.items() if not _is_missing(value)} if isinstance(row, Mapping) else {}
    if len(given) != 1 or next(iter(given)) not in _KINDS:
        found = ", ".join(map(str, given)) or repr(row)
        raise HarnessError(f"row {number} must be a theme, or have one of {', '.join(_KINDS)}, but got {found:.60}")
    return next(iter(given.items()))


def _is_message(value: Any) -> bool:
    return isinstance(value, Mapping) and isinstance(value.get("role"), str)


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _with(usual: GenerateConfig, params: Mapping[str, Any]) -> GenerateConfig:
    try:
        return dataclasses.replace(usual, **params)
    except ValidationError as error:
        first = error.errors()[0]
        where, given = ".".join(map(str, first["loc"])), first["input"]
        raise HarnessError(f"{where}: {first['msg']}, but got {given!r:.60}; see conf/generate") from error
