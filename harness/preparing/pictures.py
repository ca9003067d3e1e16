"""Bars as SVG, for a page that needs nothing else. Knows numbers and their names."""

from collections.abc import Mapping
from html import escape

from harness.preparing.figures import Spread

_WIDTH, _HEIGHT, _LINE, _NAME = 720, 160, 22, 180
_FILL = "#4a7ab5"


def histogram(spread: Spread, unit: str) -> str:
    """How many rows have how many, with both ends of the axis named."""
    most, wide = max(spread.bins), _WIDTH / len(spread.bins)
    parts = []
    for place, count in enumerate(spread.bins):
        high = _HEIGHT * count / most
        said = f"{place * spread.step} to {(place + 1) * spread.step - 1} {unit}: {count} rows"
        parts.append(_bar(place * wide, _HEIGHT - high, wide - 1, high, said))
    end = f"{len(spread.bins) * spread.step} {unit}"
    parts += [_words(0, _HEIGHT + 16, "0"), _words(_WIDTH, _HEIGHT + 16, end, "end")]
    parts.append(_words(0, 10, f"{most} row{'s' if most > 1 else ''}"))
    return _svg(_HEIGHT + 24, parts)


def bars(counts: Mapping[str, int]) -> str:
    """A bar for each name."""
    most = max(counts.values())
    parts = []
    for place, (name, count) in enumerate(counts.items()):
        top = place * _LINE
        parts.append(_words(_NAME - 8, top + 15, name[:24], "end"))
        parts.append(_bar(_NAME, top + 3, (_WIDTH - _NAME - 60) * count / most, _LINE - 6, f"{name}: {count}"))
        parts.append(_words(_WIDTH - 50, top + 15, str(count)))
    return _svg(len(counts) * _LINE, parts)


def _bar(left: float, top: float, wide: float, high: float, said: str) -> str:
    place = f'x="{left:.1f}" y="{top:.1f}" width="{max(wide, 0.5):.1f}" height="{high:.1f}"'
    return f'<rect {place} fill="{_FILL}"><title>{escape(said)}</title></rect>'


def _words(left: float, top: float, text: str, anchor: str = "start") -> str:
    return f'<text x="{left:.0f}" y="{top:.0f}" font-size="12" text-anchor="{anchor}">{escape(text)}</text>'


def _svg(height: int, parts: list[str]) -> str:
    return f'<svg viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" role="img">{"".join(parts)}</svg>'
