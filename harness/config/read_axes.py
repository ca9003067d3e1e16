"""Hydra's override syntax read into axes."""

from collections.abc import Mapping, Sequence
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override, QuotedString, Transformer

from harness.config.axes import Axis, Range, Space, Value
from harness.errors import HarnessError


def read_space(params: Mapping[str, str], arguments: Sequence[str], loader: ConfigLoader | None = None) -> Space:
    """Axes from a sweeps/ file's `params` and from the command line, which wins for the same name.

    `loader` finds what glob(…) means.

    Raises:
        HarnessError: for a range that is empty, or a value that is given twice.
    """
    parser = OverridesParser.create(config_loader=loader)
    merged: dict[str, Override] = {}
    for override in parser.parse_overrides([f"{key}={value}" for key, value in params.items()] + list(arguments)):
        # ++train.optimizer_args.x, as a word is prepared, is that setting still
        merged[override.get_key_element().lstrip("+")] = override
    axes: list[Axis | Range] = []
    fixed: list[str] = []
    for key, override in merged.items():
        if override.is_sweep_override():
            axes.append(_axis(key, override) if override.is_discrete_sweep() else _range(key, override))
        else:
            fixed.append(f"{key}={override.get_value_element_as_str()}" if not override.is_delete() else f"~{key}")
    return Space(axes, fixed)


def _axis(key: str, override: Override) -> Axis:
    words = [str(word) for word in override.sweep_iterator(transformer=Transformer.encode)]
    if not words:
        raise HarnessError(f"{override.input_line} matches nothing")
    parsed = override.sweep_iterator(transformer=Transformer.identity)
    values = [_recordable(value, word) for value, word in zip(parsed, words, strict=True)]
    if len(set(words)) < len(words):
        raise HarnessError(f"{override.input_line} names a value twice; each must be different")
    # 1 and True, or 1 and 1.0, are equal in Python: then the words tell them apart
    return Axis(key, values if len(set(values)) == len(values) else list(words), words)


def _range(key: str, override: Override) -> Range:
    interval = override.value()
    assert isinstance(interval, IntervalSweep) and interval.start is not None and interval.end is not None
    found = Range(
        key,
        float(interval.start),
        float(interval.end),
        log="log" in interval.tags,
        whole=isinstance(interval.start, int) and isinstance(interval.end, int),
    )
    if found.low >= found.high:
        raise HarnessError(f"{override.input_line} must go from a lower to a higher value")
    if found.log and found.low <= 0:
        raise HarnessError(f"{override.input_line} must begin above 0 for tag(log, …)")
    return found


def _recordable(value: Any, word: str) -> Value:
    """Numbers stay numbers, quotes go; what a study cannot hold, such as a list, becomes its word."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value.text) if isinstance(value, QuotedString) else word
