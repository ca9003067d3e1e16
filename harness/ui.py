"""python -m harness.ui: the MLflow page on this machine, with links to what matters."""

import os
import subprocess
import sys

import click

from harness.config.schema import TrackingConfig
from harness.console.command import plainly
from harness.console.options import tracking_option
from harness.errors import HarnessError


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), default=5000, show_default=True)
@tracking_option
def main(port: int, tracking_uri: str | None) -> None:
    """Serve the MLflow UI on 127.0.0.1 and print links; Ctrl-C ends it."""
    plainly(lambda: _serve(port, TrackingConfig(uri=tracking_uri)))


def _serve(port: int, tracking: TrackingConfig) -> None:
    from harness.tracking.store import open_store
    from harness.tracking.views import page_links

    store = open_store(tracking)
    if store.home is None:
        raise HarnessError(f"{store.uri} has a server of its own: open its address in a browser")
    _refuse_taken(port)
    for label, link in page_links(store):
        print(f"{label:24} http://127.0.0.1:{port}{link}")
    sys.stdout.flush()
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", store.uri]
    # one worker and no job runner: 2 processes and 0.5 GB instead of 15 and 3.1 GB
    command += ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--default-artifact-root", (store.home / "artifacts").as_uri()]
    environment = os.environ | {
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    server = subprocess.Popen(command, env=environment)
    try:
        code = server.wait()
    except KeyboardInterrupt:
        server.terminate()
        server.wait()
        return
    if code:
        raise HarnessError(f"the MLflow server ended with code {code}; its own lines above say why")


def _refuse_taken(port: int) -> None:
    import socket

    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise HarnessError(
                f"--port={port} is taken by another program; choose another, such as --port {port + 1}"
            ) from error


if __name__ == "__main__":
    main(prog_name="python -m harness.ui")
