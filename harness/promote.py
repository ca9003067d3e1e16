"""python -m harness.promote: give the best checkpoint a version in the registry and an alias, if a gate lets it."""

from typing import TYPE_CHECKING, Any

import click

from harness.console.command import plainly, prepare_for_models
from harness.console.options import tracking_option
from harness.errors import HarnessError

if TYPE_CHECKING:
    from harness.config.schema import TrackingConfig


@click.command()
@click.option("--experiment", help="The best checkpoint of all runs of this experiment.")
@click.option("--sweep", help="The best checkpoint of this sweep's trials, by the sweep's id.")
@click.option("--run", help="The best checkpoint of this run, by its id.")
@click.option("--adapter", metavar="FOLDER", help="One that no run here trained; only with --force.")
@click.option("--metric", help="What decides.  [default: what steers the sweep, or else valid/loss]")
@click.option(
    "--maximize", is_flag=True, help="The highest value is the best, also of a metric that is not known to be so."
)
@click.option("--name", help="The registered model's name.  [default: the experiment's name]")
@click.option("--alias", default="champion", show_default=True, help="The alias to set on the version.")
@click.option("--force", metavar="REASON", help="Promote what the gate refuses; the reason is kept.")
@click.option("--version", type=click.IntRange(1), help="Set the alias to this version of --name; choose nothing anew.")
@click.option("--list", "listed", is_flag=True, help="Show the versions with their figures; change nothing.")
@click.option("--history", is_flag=True, help="Show where the aliases have pointed; change nothing.")
@tracking_option
@click.argument("settings", nargs=-1, metavar="[gate.SETTING=VALUE]...")
def main(**words: Any) -> None:
    """Register the best checkpoint as a model version and set an alias on it, if the gate lets it through.

    Of --experiment, --sweep, --run and --adapter give one; without any, the newest sweep or run is taken.
    What was pruned or deleted, and what a sweep trained again with other seeds, is chosen only by --run.
    The gate compares it with what the alias points at, and with the bare base the first time, on rows that chose
    nothing; and looks for training text, for what the base has forgotten, and whether all is there. Its settings, each
    with its reason, are in conf/gate. Refused, it ends with exit code 1 and changes nothing.
    The version holds the adapter and where it comes from; the base is referenced, not copied.

    \b
    Promote the best of the newest sweep, and write with it:
      python -m harness.promote --name poems
      python -m harness.generate adapters=models:/poems@champion theme=河
    Ask for more, or promote in spite of the gate:
      python -m harness.promote --name poems gate.min_sigma=3 gate.extraction.limit=0.05
      python -m harness.promote --name poems --force "the poems are better, read by me"
    Roll back to an earlier version (the output of each promotion names it):
      python -m harness.promote --name poems --version 1
    """
    plainly(lambda: _promote(**words))


def _promote(tracking_uri: str | None, *, listed: bool, history: bool, **words: Any) -> None:
    from harness.config.schema import TrackingConfig

    prepare_for_models()
    tracking = TrackingConfig(uri=tracking_uri)
    if listed or history:
        from harness.releasing.listing import print_history, print_versions

        (print_versions if listed else print_history)(tracking, words["name"])
    else:
        _move(tracking, **words)


def _move(
    tracking: "TrackingConfig",
    *,
    name: str | None,
    alias: str,
    force: str | None,
    version: int | None,
    settings: tuple[str, ...],
    **chosen: Any,
) -> None:
    from harness.config.composed import composed
    from harness.config.schema import PromoteCommand
    from harness.releasing.choice import Choice
    from harness.releasing.promotion import Terms, promote, roll_to

    gate = composed(settings, PromoteCommand, "promote", listed="conf/gate/default.yaml has them all").gate
    if version is None:
        promote(tracking, Choice(**chosen), Terms(gate=gate, force=force), name=name, alias=alias)
        return
    if force is not None or settings:
        raise HarnessError("--version asks no gate; leave out --force and what is said of gate.…")
    roll_to(tracking, Choice(**chosen), name=name, alias=alias, version=version)


if __name__ == "__main__":
    main(prog_name="python -m harness.promote")
