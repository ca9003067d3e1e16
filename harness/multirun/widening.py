"""That the best of a sweep lies at the edge of what was searched, with the command that searches beyond it."""

import shlex
from collections.abc import Set

from harness.config.objective import VALID_LOSS, WIN_RATE
from harness.sweeping.edges import Edge, edges_of_best
from harness.sweeping.listing import Listed
from harness.sweeping.storage import Studies
from harness.tracking.queries import get
from harness.tracking.store import Store


def widening_said(store: Store, studies: Studies, listed: Listed, alike: Set[str] = frozenset()) -> list[str]:
    """A line for each name, then what to type; none where the best lies inside. `alike`: runs that may be the best."""
    edges = edges_of_best(studies, listed)
    if not edges:
        return []
    parent = get(store, listed.parent).params
    learns = parent.get("sweep.sampler") not in ("grid", "random", "qmc")
    learns = learns and parent.get("sweep.metric", VALID_LOSS.name) != WIN_RATE.name
    typed = _command(listed, edges, learns=learns)
    return [*(_line(edge, alike) for edge in edges), f"To search beyond: {typed}"]


def _line(edge: Edge, alike: Set[str]) -> str:
    inside = sorted(edge.inside & alike)
    but = f", though run {inside[0]} further in may be as good" if inside else ""
    return f"{edge.said} of what was searched{but}: there may be better beyond it."


def _command(listed: Listed, edges: list[Edge], *, learns: bool) -> str:
    """The sweep's own with wider ranges, which takes over what was trained, and learns from it where it can."""
    new = [edge.wider for edge in edges]
    new += ["sweep.reuse=store", *([f"sweep.warm_start={listed.parent}"] if learns else [])]
    replaced = {word.partition("=")[0] for word in new}
    kept = [word for word in listed.command or ["-m"] if word.partition("=")[0] not in replaced]
    return shlex.join(["python", "-m", "harness.train", *kept, *new])
