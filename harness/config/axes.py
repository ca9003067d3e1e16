"""What a sweep varies: Hydra's override syntax read into axes. Knows nothing of how they are searched."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override, QuotedString, Transformer

from harness.config.schema import SweepConfig
from harness.errors import HarnessError

Value = bool | int | float | str | None


@dataclass(frozen=True)
class Axis:
    """One swept name and its values. `values` are what a study records; `words` say the same on a command line."""

    name: str
    values: list[Value]
    words: list[str]

    @property
    def said(self) -> str:
        return f"{self.name}={','.join(self.words)}"

    def word(self, value: Value) -> str:
        return self.words[self.values.index(value)]


@dataclass(frozen=True)
class Range:
    """One swept name whose values have no end: from `low` to `high`, whole numbers or not."""

    name: str
    low: float
    high: float
    log: bool
    whole: bool

    @property
    def said(self) -> str:
        kind = "int(interval" if self.whole else "interval"
        return f"{self.name}={kind}({self.low:g},{self.high:g}{'))' if self.whole else ')'}{' log' if self.log else ''}"

    def word(self, value: Value) -> str:
        """Six digits are enough, and can be read."""
        assert isinstance(value, int | float), "a range holds numbers"
        return str(int(value)) if self.whole else repr(float(f"{value:.6g}"))


@dataclass(frozen=True)
class Space:
    """What varies, and the overrides that all trials share."""

    axes: list[Axis | Range]
    fixed: list[str]

    @property
    def lists(self) -> list[Axis]:
        """The axes with an end of values."""
        return [axis for axis in self.axes if isinstance(axis, Axis)]

    @property
    def endless(self) -> bool:
        return len(self.lists) < len(self.axes)

    @property
    def said(self) -> str:
        return " ".join(axis.said for axis in self.axes)


def read_space(params: Mapping[str, str], arguments: Sequence[str]) -> Space:
    """Axes from a sweeps/ file's `params` and from the command line, which wins for the same name.

    Raises:
        HarnessError: for a range that is empty, or a value that is given twice.
    """
    parser = OverridesParser.create()
    merged: dict[str, Override] = {}
    for override in parser.parse_overrides([f"{key}={value}" for key, value in params.items()] + list(arguments)):
        merged[override.get_key_element()] = override
    axes: list[Axis | Range] = []
    fixed: list[str] = []
    for key, override in merged.items():
        if override.is_sweep_override():
            axes.append(_axis(key, override) if override.is_discrete_sweep() else _range(key, override))
        else:
            fixed.append(f"{key}={override.get_value_element_as_str()}" if not override.is_delete() else f"~{key}")
    return Space(axes, fixed)


def check_search(space: Space, sweep: SweepConfig) -> None:
    """Rules between what varies and how it is searched.

    Raises:
        HarnessError: for the first that is broken.
    """
    if space.endless and sweep.trials is None:
        name = next(axis.said for axis in space.axes if isinstance(axis, Range))
        raise HarnessError(f"{name} has no end of values: say how many trials, such as sweep.trials=20")
    if sweep.sampler == "grid" and sweep.trials is not None:
        raise HarnessError("sweep.sampler=grid tries every combination; set sweep.trials=null, or another sampler")
    if sweep.sampler in ("random", "tpe") and sweep.trials is None:
        raise HarnessError(f"sweep.sampler={sweep.sampler} needs a number of trials, such as sweep.trials=20")


def ends(axis: Axis | Range) -> list[Value]:
    """All values of a list, both ends of a range."""
    return axis.values if isinstance(axis, Axis) else [axis.low, axis.high]


def _axis(key: str, override: Override) -> Axis:
    words = [str(word) for word in override.sweep_iterator(transformer=Transformer.encode)]
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
