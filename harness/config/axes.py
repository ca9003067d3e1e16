"""What a sweep varies: axes, and the rules between them. Knows nothing of how they are written or searched."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from harness.config.conditions import Condition, read_condition
from harness.config.load import flat
from harness.config.schema import Config, SweepConfig
from harness.errors import HarnessError

Value = bool | int | float | str | None
Combination = dict[str, Value]


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
class Rules:
    """Which names vary when, and what must hold of all. `usual`: what a name is where it does not vary."""

    only_if: dict[str, Condition] = field(default_factory=dict)
    constraints: list[Condition] = field(default_factory=list)
    usual: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Space:
    """What varies, and the overrides that all trials share."""

    axes: list[Axis | Range]
    fixed: list[str]
    rules: Rules = Rules()

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

    def varies(self, axis: Axis | Range, chosen: Combination) -> bool:
        """Whether a name has a value of its own, given those `chosen` before it."""
        condition = self.rules.only_if.get(axis.name)
        return condition is None or condition.holds(self.rules.usual | chosen)

    def allows(self, combination: Combination) -> bool:
        return all(constraint.holds(self.rules.usual | combination) for constraint in self.rules.constraints)

    def broken_by(self, combination: Combination) -> dict[str, float]:
        """How far it is from each constraint that it breaks."""
        values = self.rules.usual | combination
        return {each.text: each.broken_by(values) for each in self.rules.constraints if not each.holds(values)}

    def combinations(self) -> Iterator[Combination]:
        """All that the rules allow of values from lists, each once, the last name varying fastest."""

        def grown(chosen: Combination, axes: Sequence[Axis]) -> Iterator[Combination]:
            if not axes:
                if self.allows(chosen):
                    yield chosen
            elif not self.varies(axes[0], chosen):
                yield from grown(chosen, axes[1:])
            else:
                for value in axes[0].values:
                    yield from grown(chosen | {axes[0].name: value}, axes[1:])

        return grown({}, self.lists)

    def words(self, combination: Combination) -> list[str]:
        """The command-line overrides of one combination."""
        varying = [axis for axis in self.axes if axis.name in combination]
        return [*self.fixed, *(f"{axis.name}={axis.word(combination[axis.name])}" for axis in varying)]

    def varying(self, combination: Combination) -> str:
        """What tells one combination from the others, in short names."""
        short = short_names([axis.name for axis in self.axes])
        varying = [axis for axis in self.axes if axis.name in combination]
        return " ".join(f"{short[axis.name]}={axis.word(combination[axis.name])}" for axis in varying)


def short_names(names: Sequence[str]) -> dict[str, str]:
    """lora.rank is rank, as long as no other name ends so."""
    ends = [name.rsplit(".", 1)[-1] for name in names]
    return {name: end if ends.count(end) == 1 else name for name, end in zip(names, ends, strict=True)}


def with_rules(space: Space, config: Config) -> Space:
    """The space under sweep.only_if and sweep.constraints; a name comes after those that it depends on.

    Raises:
        HarnessError: for a condition that cannot be read, and for one on a name that does not vary.
    """
    usual = {name: value for name, value in flat(config).items() if not name.startswith("sweep.")}
    only_if = {name: read_condition(text, list(usual)) for name, text in config.sweep.only_if.items()}
    constraints = [read_condition(text, list(usual)) for text in config.sweep.constraints]
    names = [axis.name for axis in space.axes]
    for name in only_if:
        if name not in names:
            raise HarnessError(f"sweep.only_if speaks of {name}, which does not vary here; it has {', '.join(names)}")
    ordered: list[Axis | Range] = []
    waiting = list(space.axes)
    while waiting:
        known = {axis.name for axis in ordered} | (usual.keys() - set(names))
        free = [a for a in waiting if a.name not in only_if or known.issuperset(only_if[a.name].names)]
        if not free:
            raise HarnessError(f"sweep.only_if goes round in a circle: {', '.join(axis.name for axis in waiting)}")
        ordered.append(free[0])
        waiting.remove(free[0])
    return replace(space, axes=ordered, rules=Rules(only_if, constraints, usual))


def check_search(space: Space, sweep: SweepConfig) -> None:
    """Rules between what varies and how it is searched.

    Raises:
        HarnessError: for the first that is broken.
    """
    if space.endless and sweep.trials is None:
        name = next(axis.said for axis in space.axes if isinstance(axis, Range))
        raise HarnessError(f"{name} has no end of values: say how many trials, such as sweep.trials=20")
    if sweep.stop_when is not None and sweep.trials is None:
        raise HarnessError("sweep.stop_when=stagnant needs a sampler: say how many trials at most, sweep.trials=40")
    if sweep.sampler == "grid" and sweep.trials is not None:
        raise HarnessError("sweep.sampler=grid tries every combination; set sweep.trials=null, or another sampler")
    if sweep.sampler == "cmaes" and not space.endless:
        raise HarnessError("sweep.sampler=cmaes needs a range without end, such as interval(1,4); lists suit tpe")
    if sweep.sampler not in ("auto", "grid") and sweep.trials is None:
        raise HarnessError(f"sweep.sampler={sweep.sampler} needs a number of trials, such as sweep.trials=20")


def ends(axis: Axis | Range) -> list[Value]:
    """All values of a list, both ends of a range."""
    return axis.values if isinstance(axis, Axis) else [axis.low, axis.high]


def as_combination(space: Space, params: Mapping[str, str]) -> Combination | None:
    """A run's parameters, as MLflow has them, in the terms of a search; None for one outside of it."""
    found: Combination = {}
    for axis in space.axes:
        if not space.varies(axis, found):
            continue
        text = params.get(axis.name)
        if text is None:
            return None
        if isinstance(axis, Axis):
            value = next((v for v, word in zip(axis.values, axis.words, strict=True) if _same_value(word, text)), None)
            if value is None and not any(_same_value(word, text) for word in axis.words):
                return None
            found[axis.name] = value
        else:
            try:
                number = float(text)
            except ValueError:
                return None
            if not axis.low <= number <= axis.high:
                return None
            found[axis.name] = int(number) if axis.whole else number
    return found if space.allows(found) else None


def _same_value(word: str, text: str) -> bool:
    try:
        return math.isclose(float(word), float(text), rel_tol=1e-9)
    except ValueError:
        return word.lower() == text.lower()
