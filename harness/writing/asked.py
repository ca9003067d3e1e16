"""How each adapter is asked: with system prompt and templates of its own run, unless the command says otherwise.

Knows the record that a run leaves beside its adapters. Does not know themes.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.config.paths import CONF
from harness.config.schema import GenerateCommand, PromptConfig
from harness.config.yaml_file import read_mapping
from harness.models.adapter_files import AdapterFiles
from harness.tracking import run_folder


@dataclass(frozen=True)
class Asked:
    """`system`: the system prompt; None: none."""

    system: str | None
    prompt: PromptConfig


def ways_of_asking(command: GenerateCommand, adapters: Sequence[AdapterFiles | None]) -> list[Asked]:
    """One for each adapter. The bare base is asked as the first adapter beside it."""
    records = [None if each is None else _record(each.weights) for each in adapters]
    first = next((each for each in records if each is not None), None)
    usual = _usual()
    return [
        _asked(command, record or (first if adapter is None else None) or usual)
        for adapter, record in zip(adapters, records, strict=True)
    ]


def as_recorded(adapter: AdapterFiles) -> Asked:
    """As its run recorded; as usual for one without a record."""
    return _record(adapter.weights) or _usual()


def _asked(command: GenerateCommand, record: Asked) -> Asked:
    """What the command says, and for the rest what the record does."""
    prompt, data = command.prompt, command.data
    if prompt.recorded:
        templates, fields = record.prompt.templates | prompt.templates, record.prompt.fields | prompt.fields
    else:
        templates, fields = prompt.templates, prompt.fields
    system = record.system if data.recorded and data.system is None else data.system
    return Asked(system, PromptConfig(templates=templates, fields=fields))


def _record(weights: Path) -> Asked | None:
    """What the run's configuration says, which lies with a checkpoint or above the run's checkpoints."""
    for folder in (weights.parent, weights.parent.parent):
        if (file := folder / run_folder.CONFIG).is_file():
            content = read_mapping(file)
            data, prompt = content.get("data"), content.get("prompt")
            if isinstance(data, dict) and isinstance(prompt, dict) and prompt.get("templates"):
                return Asked(_text(data), _prompt(prompt))
    return None


def _usual() -> Asked:
    return Asked(
        _text(read_mapping(CONF / "data" / "poems.yaml")), _prompt(read_mapping(CONF / "prompt" / "chat.yaml"))
    )


def _text(data: Mapping[str, Any]) -> str | None:
    return None if data.get("system") is None else str(data["system"])


def _prompt(values: Mapping[str, Any]) -> PromptConfig:
    return PromptConfig(templates=dict(values["templates"]), fields=dict(values.get("fields") or {}))


def differ(ways: Sequence[Asked]) -> bool:
    """Whether adapters are asked in several ways, so that their texts do not compare like with like."""
    return len({(way.system, *dataclasses.astuple(way.prompt)[0].items()) for way in ways}) > 1
