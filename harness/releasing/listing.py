"""What the registry holds: versions with their figures, and where each alias has pointed. Changes nothing."""

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.table import Table

from harness.config.schema import TrackingConfig
from harness.console.wide import print_wide
from harness.errors import HarnessError
from harness.releasing.checks.verdict import CheckKind
from harness.tracking.moves import Move, moves_of
from harness.tracking.store import Store, open_store
from harness.tracking.versions import Registered, aliases_of, model_names, versions_of


def print_versions(tracking: TrackingConfig, name: str | None) -> None:
    """Of one registered model, or of all.

    Raises:
        HarnessError: when there is none.
    """
    store = open_store(tracking)
    for each in _names(store, name):
        print_wide(_versions(each, versions_of(store, each), aliases_of(store, each)))


def print_history(tracking: TrackingConfig, name: str | None) -> None:
    """The moves of the aliases of one registered model, or of all, the oldest first.

    Raises:
        HarnessError: when there is none.
    """
    store = open_store(tracking)
    for each in _names(store, name):
        moves = moves_of(store, each)
        print_wide(_moves(each, moves))
        for alias, number in sorted(aliases_of(store, each).items()):
            last = next((move.to for move in reversed(moves) if move.alias == alias), None)
            if last != number:
                told = "before moves were kept, or by another program"
                print(f"models:/{each}@{alias} points at version {number}, where it was moved {told}")


def _names(store: Store, name: str | None) -> list[str]:
    every = model_names(store)
    if name is not None and name not in every:
        raise HarnessError(f"{name} is not in {store.uri}; there is {', '.join(every) or 'nothing promoted yet'}")
    if not every:
        raise HarnessError(f"nothing is promoted yet in {store.uri}; python -m harness.promote does it")
    return every if name is None else [name]


def _versions(name: str, versions: Sequence[Registered], aliases: dict[str, int]) -> Table:
    table = Table(title=name, title_justify="left", box=SIMPLE_HEAD)
    for column in ("version", "alias", "update", "score", "better by", "gate", "promoted", "run"):
        table.add_column(column, no_wrap=column in ("run", "promoted"))
    for each in versions:
        of = [alias for alias, number in aliases.items() if number == each.number]
        table.add_row(
            str(each.number),
            ", ".join(of),
            each.tags.get("checkpoint_step", "–"),
            _score(each),
            each.tags.get(f"gate.{CheckKind.COMPARISON}.figure", "–"),
            each.tags.get("gate", "not asked"),
            _when(each.tags.get("promoted_at", "–")),
            each.run_id or "–",
        )
    return table


def _score(version: Registered) -> str:
    """By what it was chosen: the first of its tags that is a metric's."""
    metrics = [key for key in version.tags if "/" in key]
    return f"{metrics[0]} {version.tags[metrics[0]]}" if metrics else "–"


def _moves(name: str, moves: Sequence[Move]) -> Table:
    table = Table(title=name, title_justify="left", box=SIMPLE_HEAD)
    for column in ("when (UTC)", "alias", "from", "to", "by", "who", "why"):
        table.add_column(column, no_wrap=column != "why")
    for each in moves:
        before = "–" if each.before is None else str(each.before)
        table.add_row(_when(each.at), each.alias, before, str(each.to), each.by, each.who, each.why)
    return table


def _when(at: str) -> str:
    return at[:16].replace("T", " ")
