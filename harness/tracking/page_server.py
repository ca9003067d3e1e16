"""The MLflow page of a local store. Knows nothing of what is shown on it."""

import os
import socket
import subprocess
import sys

from harness.errors import HarnessError
from harness.tracking.store import Store
from harness.tracking.views import page_links


def serve_page(store: Store, port: int) -> None:
    """Serve it on 127.0.0.1, its links printed first, until a Ctrl-C.

    Raises:
        HarnessError: when the store has a server of its own, the port is taken, or the server fails.
    """
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
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise HarnessError(
                f"--port={port} is taken by another program; choose another, such as --port {port + 1}"
            ) from error
