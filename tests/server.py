"""A real MLflow tracking server that tests start, hang, kill and start again on the same database."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from harness.tracking.database import make_database


class Server:
    """On a port of its own. Its artifacts are not in a folder that its clients know."""

    def __init__(self, home: Path) -> None:
        self._home, self._port = home, free_port()
        make_database(home / "server.db")  # MLflow takes seconds for it
        self.uri = f"http://127.0.0.1:{self._port}"
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self._port)]
        command += ["--backend-store-uri", f"sqlite:///{self._home / 'server.db'}", "--workers", "1"]
        command += ["--artifacts-destination", str(self._home / "kept")]
        environment = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        with (self._home / "log").open("a") as log:
            # a group of its own: a signal reaches its workers too
            self._process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, start_new_session=True)
        deadline = time.monotonic() + 60
        while not self.healthy():
            assert self._process.poll() is None and time.monotonic() < deadline, "the MLflow server did not start"
            time.sleep(0.1)

    def healthy(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.uri}/health", timeout=2):
                return True
        except OSError:
            return False

    @property
    def group(self) -> int:
        return self._process.pid

    def hang(self) -> None:
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        self._signal(signal.SIGKILL)
        self._process.wait(timeout=20)

    def revive(self) -> None:
        if self._process.poll() is None:
            self.go_on()
        else:
            self.start()

    def close(self) -> None:
        if self._process.poll() is None:
            self.kill()

    def _signal(self, number: signal.Signals) -> None:
        os.killpg(self.group, number)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
