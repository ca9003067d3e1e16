"""python -m harness.reconcile: send what a tracking store has not got yet, close runs whose process is gone."""

import click

from harness.config.schema import TrackingConfig
from harness.console.command import plainly
from harness.console.options import tracking_option


@click.command()
@tracking_option
def main(tracking_uri: str | None) -> None:
    """Send what runs on this machine could not tell MLflow, and close those whose process is gone.

    A run writes all that it tells to its own folder first, so that a tracking store that does not answer
    loses nothing. Runs that are still at work are left alone. A run that is closed can be gone on with.
    """
    plainly(lambda: _settle_all(TrackingConfig(uri=tracking_uri)))


def _settle_all(tracking: TrackingConfig) -> None:
    from harness.tracking.settle_all import settle_all
    from harness.tracking.store import open_store

    settle_all(open_store(tracking))


if __name__ == "__main__":
    main(prog_name="python -m harness.reconcile")
