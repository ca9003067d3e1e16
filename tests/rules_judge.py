"""A judge of poems by plain rules about the text itself, so that tests judge real differences.

Knows only what stands in the rubric's prompt: a theme and texts. Does not know who wrote them. How it is served, its
noise and its bad habits are judge_server's.
"""

import itertools
import re
from functools import cache
from typing import Any

from tests.graded import SHIPPED
from tests.judge_server import Habits

_UNIT = re.compile(r"[^\W\d_\u3000-\u9fff]+(?:['’][a-z]+)?|[\u3400-\u9fff]", re.IGNORECASE)
_UNFINISHED = re.compile(r"([，、：；（“《,:;(—-]|[和与把被从向]|\b(and|or|the|a|of|to|with))$", re.IGNORECASE)
_WHOLE = 12  # units: a shorter text is worth less, whatever it says
_LINE = 12  # units of a line of verse, at most
_LINES = 4  # of a poem, at least


def rules_judge(**habits: Any) -> Habits:
    """For `judge_server`: a good judge with a little noise, unless its habits are said to be others."""
    return Habits(**{"worth": worth, "noise": 0.1, **habits})


def worth(theme: str, text: str) -> float:
    """From -2, nothing, to 2, a whole poem in plain language on its theme."""
    units, lines = _units(text), [line for line in text.splitlines() if line.strip()]
    rules = 4 * _language(lines) + 2 * _verse(lines) + 2 * _variety(units, lines)
    rules += _theme(theme, units) + _ended(text)
    return 4 * min(1.0, len(units) / _WHOLE) * rules / 10 - 2


def _language(lines: list[str]) -> float:
    """Share of neighbours within a line that stand so in the shipped poems."""
    pairs = [pair for line in lines for pair in itertools.pairwise(_units(line))]
    return sum(pair in _known() for pair in pairs) / max(len(pairs), 1)


def _verse(lines: list[str]) -> float:
    """Lines of verse's length, and enough of them."""
    short = sum(len(_units(line)) <= _LINE for line in lines)
    return short / max(len(lines), 1) * min(1.0, len(lines) / _LINES)


def _variety(units: list[str], lines: list[str]) -> float:
    """No line and no word over and over."""
    of_words, of_lines = (len(set(each)) / max(len(each), 1) for each in (units, lines))
    return min(1.0, of_words / 0.6) * of_lines


def _theme(theme: str, units: list[str]) -> float:
    """Share of the theme's words that the text names."""
    words = set(_units(theme))
    return len(words & set(units)) / max(len(words), 1)


def _ended(text: str) -> float:
    return 0.0 if _UNFINISHED.search(text.strip()) else 1.0


def _units(text: str) -> list[str]:
    return _UNIT.findall(text.lower())


@cache
def _known() -> set[tuple[str, str]]:
    return {pair for _, text in SHIPPED for line in text.splitlines() for pair in itertools.pairwise(_units(line))}
