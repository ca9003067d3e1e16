"""What a sweep varies: Hydra's override syntax read into axes. Knows nothing of how they are searched."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, QuotedString, Transformer

from harness.errors import HarnessError

Value = bool | int | float | str | None


@dataclass(frozen=True)
class Axis:
    """One swept name. `values` are what a study records; `words` say the same on a command line."""

    name: str
    values: list[Value]
    words: list[str]

    def word(self, value: Value) -> str:
        return self.words[self.values.index(value)]


@dataclass(frozen=True)
class Space:
    """What varies, and the overrides that all trials share."""

    axes: list[Axis]
    fixed: list[str]


def read_space(params: Mapping[str, str], arguments: Sequence[str]) -> Space:
    """Axes from a sweeps/ file's `params` and from the command line, which wins for the same name.

    Raises:
        HarnessError: for a range without steps, which only a sampler could search.
    """
    parser = OverridesParser.create()
    merged: dict[str, Override] = {}
    for override in parser.parse_overrides([f"{key}={value}" for key, value in params.items()] + list(arguments)):
        merged[override.get_key_element()] = override
    axes, fixed = [], []
    for key, override in merged.items():
        if override.is_sweep_override():
            axes.append(_axis(key, override))
        else:
            fixed.append(f"{key}={override.get_value_element_as_str()}" if not override.is_delete() else f"~{key}")
    return Space(axes, fixed)


def _axis(key: str, override: Override) -> Axis:
    if not override.is_discrete_sweep():
        raise HarnessError(f"{override.input_line} has no end of values; list them ({key}=1,2,3) or use range(…)")
    words = [str(word) for word in override.sweep_iterator(transformer=Transformer.encode)]
    parsed = override.sweep_iterator(transformer=Transformer.identity)
    values = [_recordable(value, word) for value, word in zip(parsed, words, strict=True)]
    if len(set(words)) < len(words):
        raise HarnessError(f"{override.input_line} names a value twice; each must be different")
    # 1 and True, or 1 and 1.0, are equal in Python: then the words tell them apart
    return Axis(key, values if len(set(values)) == len(values) else list(words), words)


def _recordable(value: Any, word: str) -> Value:
    """Numbers stay numbers, quotes go; what a study cannot hold, such as a list, becomes its word."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value.text) if isinstance(value, QuotedString) else word
