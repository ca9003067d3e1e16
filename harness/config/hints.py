"""What a mistyped name may have meant."""

import difflib
from collections.abc import Sequence


def did_you_mean(name: str, known: Sequence[str]) -> str:
    """`; did you mean lora.rank?`, by the whole name or by its last part."""
    end = name.rsplit(".", 1)[-1]
    ends: dict[str, list[str]] = {}
    for entry in known:
        ends.setdefault(entry.rsplit(".", 1)[-1], []).append(entry)
    close = ends.get(end) or difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if not close:
        close = [entry for near in difflib.get_close_matches(end, ends, n=1, cutoff=0.7) for entry in ends[near]]
    return f"; did you mean {' or '.join(close)}?" if close else ""
