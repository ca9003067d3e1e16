"""Try every architecture, or some, and write docs/architectures.md.

What each came to is kept in the cache until all are written, so that --continue goes on with an interrupted run.
"""

import dataclasses
import json
import sys
from importlib.metadata import version

import click

from harness.config.paths import MLRUNS, ROOT
from harness.files import write_json
from tools.architectures import table, tiny
from tools.architectures.checks import Grade, Outcome
from tools.architectures.processes import Outcomes, try_all

_KEPT = MLRUNS / "cache" / "architectures.json"
_PAGE = ROOT / "docs" / "architectures.md"


@click.command(help="Try each architecture of mlx-lm on a tiny random model, and write docs/architectures.md.")
@click.option("--only", multiple=True, metavar="NAME", help="Try these, and show them; the page stays as it is.")
@click.option("--continue", "go_on", is_flag=True, help="Take what an interrupted run has found.")
@click.option("--at-once", default=2, show_default=True, type=click.IntRange(1), help="Processes.")
@click.option("--seconds", default=120.0, show_default=True, help="That a check may take.")
def main(only: tuple[str, ...], go_on: bool, at_once: int, seconds: float) -> None:
    if unknown := set(only) - set(tiny.MODELLED):
        raise click.ClickException(f"--only must be one of {', '.join(tiny.MODELLED)}, but got {', '.join(unknown)}")
    found = _kept() if go_on and not only else {}
    left = [name for name in only or tiny.MODELLED if name not in found]
    for name, outcomes in try_all(left, at_once=at_once, seconds=seconds):
        found[name] = outcomes
        click.echo(f"{name}: {' '.join(each.grade for each in outcomes.values())}")
        if not only:
            write_json(_KEPT, {key: _to_json(value) for key, value in found.items()})
    if only:
        for name in only:
            for check, outcome in found[name].items():
                click.echo(f"{name}, {check}: {outcome.grade}{outcome.why and f', {outcome.why}'}")
    else:
        _PAGE.write_text(table.page(found, tiny.WITHOUT, version("mlx-lm")), encoding="utf-8")
        _KEPT.unlink(missing_ok=True)
    said = table.faults(found)
    click.echo("\n".join(said))
    sys.exit(1 if said else 0)


def _kept() -> dict[str, Outcomes]:
    if not _KEPT.exists():
        return {}
    kept = json.loads(_KEPT.read_text("utf-8"))
    return {
        name: {check: Outcome(Grade(each["grade"]), each["why"]) for check, each in row.items()}
        for name, row in kept.items()
    }


def _to_json(outcomes: Outcomes) -> dict[str, dict[str, str]]:
    return {check: dataclasses.asdict(outcome) for check, outcome in outcomes.items()}
