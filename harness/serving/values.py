"""Values out of a request's JSON, each of the kind that its field has. Knows no fields."""

import json
import math
import re
from typing import Any

from harness.serving.refusal import RefusalError

_HALF_PAIR = re.compile(rb"\\u[dD][89a-fA-F]")


def read_body(body: bytes) -> dict[str, Any]:
    """
    Raises:
        RefusalError: for what is no JSON object.
    """
    try:
        content = json.loads(body.decode("utf-8"))
        if _HALF_PAIR.search(body):  # as \\ud800, which no text has
            json.dumps(content, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError) as error:
        raise RefusalError(400, f"the body must be JSON in UTF-8: {error}") from error
    if not isinstance(content, dict):
        raise RefusalError(400, f"the body must be a JSON object, but got {kind_of(content)}")
    return content


def whole(body: dict[str, Any], name: str, low: int | None = None, high: int | None = None) -> int | None:
    value = body.get(name)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if value is None:
        return None
    if type(value) is not int or (low is not None and value < low) or (high is not None and value > high):
        raise wrong(name, f"must be a whole number{_range(low, high)}", value)
    return value


def number(body: dict[str, Any], name: str, low: float, high: float, *, above: bool = False) -> float | None:
    value = body.get(name)
    if value is None:
        return None
    known = type(value) is int or (type(value) is float and math.isfinite(value))
    if not known or not low <= value <= high or (above and value == low):
        raise wrong(name, f"must be a number {'above' if above else 'from'} {low} to {high}", value)
    return float(value)


def of_kind(body: dict[str, Any], name: str, kind: type) -> Any:
    value = body.get(name)
    if value is not None and not isinstance(value, kind):
        words = {bool: "true or false", str: "a text", dict: "an object"}
        raise wrong(name, f"must be {words[kind]}", value)
    return value


def _range(low: int | None, high: int | None) -> str:
    if low is None:
        return ""
    return f" from {low} to {high}" if high is not None else f" of at least {low}"


def wrong(name: str, rule: str, value: Any) -> RefusalError:
    return RefusalError(400, f"{name} {rule}, but got {kind_of(value)}", param=name, code="invalid_value")


def kind_of(value: Any) -> str:
    """Short: a value itself, or what sort of thing it is."""
    if isinstance(value, (dict, list)):
        return f"{'an object' if isinstance(value, dict) else 'a list'} of {len(value)}"
    return json.dumps(value, ensure_ascii=True)[:80]
