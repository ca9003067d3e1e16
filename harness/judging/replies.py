"""The one JSON object of a reply, read as leniently as is safe: local models think aloud, explain and fence.

An object that stands in the question itself is a quotation, not an answer. Where several would do and do not say the
same, none counts. Knows nothing of what is asked.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic, TypeVar

from harness.files import writable

Value = TypeVar("Value")

# models write the end of a thought without its beginning where that stood in their prompt
_THOUGHT = re.compile(
    r"\A.*<\|channel\|>final<\|message\|>|[<\[](think|thinking|thought|reasoning)[>\]].*?([<\[]/\1[>\]]|\Z)"
    r"|\A.*[<\[]/(think|thinking|thought|reasoning)[>\]]",
    re.DOTALL | re.IGNORECASE,
)
_FENCE = re.compile(r"```[a-zA-Z]*\s*|\s*```")
_STRING = r'"(?:\\.|[^"\\])*(?:"|\Z)'
_TRAILING = re.compile(rf"({_STRING})|,(\s*[}}\]])", re.DOTALL)
_PIECES = re.compile(rf"{_STRING}|[{{}}]", re.DOTALL)
_MOST = 50  # objects that are looked at
_LONGEST = 20_000  # characters at the end of a reply that are


class UnreadableError(ValueError):
    """What is wrong with a reply, in words that its author can mend it by."""


class Leniency(StrEnum):
    """What was looked past to read a reply."""

    THINKING = "thinking"
    FENCE = "fence"
    PROSE = "prose"
    COMMAS = "trailing commas"
    LETTERS = "letters"


@dataclass(frozen=True)
class Reading(Generic[Value]):
    """What a reply says. `leniencies`: none for a reply that is the object alone, as it was asked for."""

    value: Value
    leniencies: frozenset[Leniency] = frozenset()


def read_object(reply: str, fit: Callable[[dict[str, Any]], Reading[Value]], *, question: str) -> Reading[Value]:
    """The one object that fits.

    Args:
        fit: gives what an object says, two that are equal saying the same, or raises UnreadableError.

    Raises:
        UnreadableError: when none fits, or several that do not say the same.
    """
    spoken = reply if _is_json(reply.strip()) else _THOUGHT.sub("", reply)[-_LONGEST:]
    thought = {Leniency.THINKING} if _THOUGHT.search(reply) and spoken != reply else set()
    asked = _squeezed(question)
    fitting: list[Reading[Value]] = []
    trouble: UnreadableError | None = None
    for text in _objects(spoken):
        if _squeezed(text) in asked:
            continue
        around = spoken.replace(text, "", 1)
        try:
            values, commas = _parsed(text)
            found = fit(values)
        except UnreadableError as error:
            trouble = trouble or error
            continue
        past = found.leniencies | thought | _around(around) | ({Leniency.COMMAS} if commas else set())
        fitting.append(Reading(found.value, frozenset(past)))
    if not fitting:
        raise trouble or UnreadableError("it is not one JSON object")
    if any(found.value != fitting[0].value for found in fitting):
        raise UnreadableError("it holds several JSON objects that do not say the same")
    return fitting[0]


def _around(text: str) -> set[Leniency]:
    bare = _FENCE.sub("", text)
    return ({Leniency.FENCE} if bare != text else set()) | ({Leniency.PROSE} if bare.strip() else set())


def _squeezed(text: str) -> str:
    return "".join(text.split())


def _objects(text: str) -> Iterator[str]:
    """What stands between balanced braces, the outermost first; one that is no JSON is looked into."""
    at = text.find("{")
    for _ in range(_MOST):
        if at < 0:
            return
        end = _end(text, at)
        whole = None if end is None else text[at:end]
        if whole is not None and _is_json(whole):
            yield whole
            at = text.find("{", at + len(whole))
        else:
            at = text.find("{", at + 1)


def _end(text: str, begin: int) -> int | None:
    """Where the object that begins here ends; braces in its strings do not count."""
    depth = 0
    for piece in _PIECES.finditer(text, begin):
        depth += {"{": 1, "}": -1}.get(piece[0], 0)
        if depth == 0:
            return piece.end()
    return None


def _is_json(text: str) -> bool:
    try:
        return isinstance(_parsed(text)[0], dict)
    except UnreadableError:
        return False


def _parsed(text: str) -> tuple[Any, bool]:
    """The object, and whether commas had to go; line breaks inside its texts are let pass."""
    trouble: Exception | None = None
    for commas, attempt in ((False, text), (True, _TRAILING.sub(r"\1\2", text))):
        try:
            return json.loads(writable(attempt), strict=False, object_pairs_hook=_once), commas
        except (ValueError, RecursionError) as error:
            trouble = trouble or error
    raise UnreadableError(f"it is not one JSON object ({trouble})") from trouble


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object; a name that is given twice must mean the same twice. Half characters, escaped, become U+FFFD."""
    read: dict[str, Any] = {}
    for name, value in pairs:
        value = writable(value) if isinstance(value, str) else value
        if name in read and read[name] != value:
            raise ValueError(f"{name} is given twice, as {read[name]} and {value}")
        read[name] = value
    return read
