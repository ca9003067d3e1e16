"""python -m harness.ui: the MLflow page on this machine, with links to what matters."""

import click

from harness.config.schema import TrackingConfig
from harness.console.command import plainly
from harness.console.options import tracking_option


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), default=5000, show_default=True)
@tracking_option
def main(port: int, tracking_uri: str | None) -> None:
    """Serve the MLflow UI on 127.0.0.1 and print links; Ctrl-C ends it."""
    plainly(lambda: _serve(port, TrackingConfig(uri=tracking_uri)))


def _serve(port: int, tracking: TrackingConfig) -> None:
    from harness.tracking.page_server import serve_page
    from harness.tracking.store import open_store

    serve_page(open_store(tracking), port)


if __name__ == "__main__":
    main(prog_name="python -m harness.ui")
