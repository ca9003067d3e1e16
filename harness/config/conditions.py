"""Conditions on a configuration's values, as `lora.rank * lora.num_layers <= 128`.

Python's syntax of comparisons, arithmetic, and, or, not, in; names of settings, numbers, texts, lists. Nothing is
called and nothing else looked up, so that a search file from elsewhere can do no harm.
"""

import ast
import itertools
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.config.hints import did_you_mean
from harness.errors import HarnessError

_OPERATORS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.USub: operator.neg,
    ast.Not: operator.not_,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda one, many: one in many,
    ast.NotIn: lambda one, many: one not in many,
}
# metrics as MLflow has them
_METRIC = re.compile(r"\b(adapter|generate|judge|memory|test|text|train|valid)/(\w+)")
_LEAST_DISTANCE = 1e-6  # of a < b where they are the same
_CONSTANTS = {"null": None, "true": True, "false": False}


@dataclass(frozen=True)
class Condition:
    """`names`: the settings that it speaks of."""

    text: str
    names: list[str]
    tree: ast.expr

    def holds(self, values: Mapping[str, Any]) -> bool:
        """Whether it is true of `values`, which has every one of `names`.

        Raises:
            HarnessError: when the values cannot be compared or calculated with.
        """
        try:
            return bool(_value(self.tree, values))
        except (TypeError, ZeroDivisionError) as error:
            raise HarnessError(f"the condition {self.text} cannot be worked out: {error}") from error

    def broken_by(self, values: Mapping[str, Any]) -> float:
        """How far it is from true: 0 where it holds, else above 0, about 1 for a number of twice its bound.

        Raises:
            HarnessError: as above.
        """
        return 0.0 if self.holds(values) else _distance(self.tree, values)


def read_condition(text: str, known: Sequence[str]) -> Condition:
    """Parse and check it: only `known` names.

    Raises:
        HarnessError: for what is no condition, and for a name that is no setting.
    """
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError) as error:
        raise _unreadable(text) from error
    names: list[str] = []
    _check(tree, text, names)
    for name in names:
        if name not in known:
            raise HarnessError(f"{name} in the condition {text} is not a setting{did_you_mean(name, known)}")
    return Condition(text, names, tree)


def read_requirement(text: str) -> Condition:
    """A condition on what runs measure, as text/memorised_run < 20; its names have a dot for the slash.

    Raises:
        HarnessError: for what is no condition.
    """
    names = [f"{group}.{name}" for group, name in _METRIC.findall(text)]
    if not names:
        raise HarnessError(f"{text} names nothing that a run measures; write such as text/memorised_run < 20")
    return read_condition(_METRIC.sub(r"\1.\2", text), names)


def _unreadable(text: str) -> HarnessError:
    return HarnessError(
        f"{text} is not a condition; write one such as lora.rank * lora.num_layers <= 128, texts in quotes"
    )


def _check(node: ast.expr, text: str, names: list[str]) -> None:
    """Refuse everything but the syntax above; collects the names of settings."""
    match node:
        case ast.Constant(value=bool() | int() | float() | str() | None):
            return
        case ast.Name(id=name) if name in _CONSTANTS:
            return
        case ast.Attribute() | ast.Name():
            names.append(_dotted(node, text))
            return
        case ast.BinOp(op=op) | ast.UnaryOp(op=op) if type(op) in _OPERATORS:
            pass
        case ast.Compare(ops=ops) if all(type(op) in _OPERATORS for op in ops):
            pass
        case ast.BoolOp() | ast.List() | ast.Tuple():
            pass
        case _:
            raise _unreadable(text)
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.expr):
            _check(child, text, names)


def _dotted(node: ast.expr, text: str) -> str:
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=attribute):
            return f"{_dotted(value, text)}.{attribute}"
    raise _unreadable(text)


def _distance(node: ast.expr, values: Mapping[str, Any]) -> float:
    """Of something false; of all that `and` asks the sum, of what `or` leaves open the least."""
    match node:
        case ast.BoolOp(op=op, values=parts):
            distances = [_distance(part, values) for part in parts if not _value(part, values)]
            return sum(distances) if isinstance(op, ast.And) else min(distances)
        case ast.Compare(left=left, ops=[_], comparators=[right]):
            one, other = _value(left, values), _value(right, values)
            if isinstance(one, int | float) and isinstance(other, int | float):
                return abs(one - other) / max(abs(one), abs(other), 1e-12) + _LEAST_DISTANCE
    return 1.0


def _value(node: ast.expr, values: Mapping[str, Any]) -> Any:
    match node:
        case ast.Constant(value=constant):
            return constant
        case ast.Name(id=name) if name in _CONSTANTS:
            return _CONSTANTS[name]
        case ast.Name() | ast.Attribute():
            return values[_dotted(node, "")]
        case ast.List(elts=elements) | ast.Tuple(elts=elements):
            return [_value(element, values) for element in elements]
        case ast.UnaryOp(op=op, operand=operand):
            return _OPERATORS[type(op)](_value(operand, values))
        case ast.BinOp(left=left, op=op, right=right):
            return _OPERATORS[type(op)](_value(left, values), _value(right, values))
        case ast.BoolOp(op=ast.And(), values=parts):
            return all(_value(part, values) for part in parts)
        case ast.BoolOp(values=parts):
            return any(_value(part, values) for part in parts)
        case ast.Compare(left=left, ops=ops, comparators=others):
            chain = [_value(left, values), *(_value(other, values) for other in others)]
            return all(_OPERATORS[type(op)](*pair) for op, pair in zip(ops, itertools.pairwise(chain), strict=True))
    raise AssertionError("checked before")
