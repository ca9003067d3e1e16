"""python -m harness.runs: the newest sweep's trials, or a run, as a table."""

import click

from harness.config.schema import TrackingConfig
from harness.console.command import plainly
from harness.console.options import tracking_option


@click.command()
@click.argument("run_id", required=False)
@tracking_option
def main(run_id: str | None, tracking_uri: str | None) -> None:
    """Print a sweep's trials (the best first) or a single run: RUN_ID, or the newest."""
    from harness.multirun.table import print_sweep

    plainly(lambda: print_sweep(run_id, TrackingConfig(uri=tracking_uri)))


if __name__ == "__main__":
    main(prog_name="python -m harness.runs")
