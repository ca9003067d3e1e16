"""The judges of a panel in the terminal: how much each counts, what it likes, and the ranking without it."""

from collections.abc import Iterator, Mapping

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from harness.judging.agreement import Agreement
from harness.judging.left_out import LeftOut
from harness.judging.ranking import Effect, Standings

_ODD = 0.2  # a judge whose order has less in common than this with the others'


def show_panel(standings: Standings, people: Mapping[str, Agreement]) -> None:
    """`people`: of each judge, how far it agrees with the person, where there are decisions enough."""
    if len(standings.panel) < 2:
        return
    shown = Table(
        "judge", "weight", "standing first", "e × as long", title="the panel", title_justify="left", box=SIMPLE
    )
    if people:
        shown.add_column("as the person")
    for each in standings.panel:
        cells = [each.judge, f"{each.weight:.0%}", _said(each.first_place), _said(each.length)]
        shown.add_row(*cells, *([_agreed(people.get(each.judge))] if people else []))
    _print(shown)
    _show_left_out(standings)
    for line in panel_lines(standings):
        print(line)


def panel_lines(standings: Standings) -> Iterator[str]:
    """What is to be known of the panel beside its tables."""
    yield f"beyond chance, an adapter is worth ± {standings.taste:.2f} more to one judge than to another"
    for each in odd_ones(standings):
        yield (
            f"warning: {each.who} orders the adapters unlike the others (Kendall's tau {each.like_the_rest:+.2f}): "
            "see whether the panel is better without it"
        )


def odd_ones(standings: Standings) -> list[LeftOut]:
    """Judges with little in common with the others: of two that differ neither is the odd one."""
    alone = [each for each in standings.left_out if not each.family]
    return [each for each in alone if each.like_the_rest < _ODD] if len(alone) > 2 else []


def _show_left_out(standings: Standings) -> None:
    shown = Table("without", "first", "order", "pairs turned", "like the rest", title_justify="left", box=SIMPLE)
    shown.title = "the ranking without one"
    for each in standings.left_out:
        who = f"all of {each.who}" if each.family else each.who
        order = " > ".join(each.order[:4]) + (" …" if len(each.order) > 4 else "")
        shown.add_row(who, each.order[0], order, f"{each.changed:.0%}", f"{each.like_the_rest:+.2f}")
    _print(shown)


def _said(effect: Effect) -> str:
    return f"{effect.value:+.2f} ± {effect.stderr:.2f}"


def _agreed(agreement: Agreement | None) -> str:
    return "–" if agreement is None else agreement.figure


def _print(table: Table) -> None:
    Console(highlight=False, markup=False).print(table)
