"""python -m harness.promote: give the best checkpoint a version in the registry and an alias."""

import click

from harness.config.schema import TrackingConfig
from harness.console.command import plainly
from harness.console.options import tracking_option


@click.command()
@click.option("--experiment", help="The best checkpoint of all runs of this experiment.")
@click.option("--sweep", help="The best checkpoint of this sweep's trials, by the sweep's id.")
@click.option("--run", help="The best checkpoint of this run, by its id.")
@click.option("--metric", help="What decides.  [default: what steers the sweep, or else valid/loss]")
@click.option(
    "--maximize", is_flag=True, help="The highest value is the best, also of a metric that is not known to be so."
)
@click.option("--name", help="The registered model's name.  [default: the experiment's name]")
@click.option("--alias", default="champion", show_default=True, help="The alias to set on the version.")
@click.option("--version", type=click.IntRange(1), help="Set the alias to this version of --name; choose nothing anew.")
@tracking_option
def main(
    experiment: str | None,
    sweep: str | None,
    run: str | None,
    metric: str | None,
    maximize: bool,
    name: str | None,
    alias: str,
    version: int | None,
    tracking_uri: str | None,
) -> None:
    """Register the best checkpoint as a model version and set an alias on it.

    Of --experiment, --sweep and --run give one; without any, the newest sweep or run is taken.
    What was pruned or deleted, and what a sweep trained again with other seeds, is chosen only by --run.
    The version holds the adapter and where it comes from; the base is referenced, not copied.

    \b
    Promote the best of the newest sweep, and write with it:
      python -m harness.promote --name poems
      python -m harness.generate adapters=models:/poems@champion theme=河
    Roll back to an earlier version (the output of each promotion names it):
      python -m harness.promote --name poems --version 1
    """
    from harness.releasing.promotion import Choice, promote, roll_to

    tracking = TrackingConfig(uri=tracking_uri)
    choice = Choice(experiment=experiment, sweep=sweep, run=run, metric=metric, maximize=maximize)
    if version is None:
        plainly(lambda: promote(tracking, choice, name=name, alias=alias))
    else:
        plainly(lambda: roll_to(tracking, choice, name=name, alias=alias, version=version))


if __name__ == "__main__":
    main(prog_name="python -m harness.promote")
