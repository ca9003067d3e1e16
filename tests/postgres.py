"""A real PostgreSQL server that tests start in a folder of their own, on a port of its own, and end."""

import os
import shutil
import subprocess
from pathlib import Path

from tests.server import free_port

_USUAL = ["/usr/lib/postgresql/*/bin", "/opt/homebrew/opt/postgresql*/bin", "/usr/local/opt/postgresql*/bin"]


def postgres_programs() -> Path | None:
    """The folder of initdb and postgres, if they are installed."""
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else []
    for pattern in _USUAL:
        folders += sorted(Path("/").glob(pattern.lstrip("/")), reverse=True)
    return next((folder for folder in folders if (folder / "postgres").exists()), None)


class Postgres:
    """PostgreSQL refuses to run as root: then it runs as nobody."""

    def __init__(self, home: Path, programs: Path) -> None:
        self._as = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"] if os.geteuid() == 0 else []
        self._data, self._programs, self._port = home / "data", programs, free_port()
        self._data.mkdir()
        if self._as:
            shutil.chown(self._data, "nobody", "nogroup")
            for folder in [self._data, *self._data.parents]:  # down to a folder that only root may enter
                if folder.stat().st_uid == os.geteuid():
                    folder.chmod(folder.stat().st_mode | 0o011)
        self._run("initdb", "-D", str(self._data), "-U", "harness", "--auth=trust", "--no-sync", "-E", "UTF8")
        options = f"-p {self._port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off"
        self._run("pg_ctl", "-D", str(self._data), "-w", "-l", str(self._data / "log"), "-o", options, "start")
        self.url = f"postgresql://harness@127.0.0.1:{self._port}/postgres"

    def close(self) -> None:
        self._run("pg_ctl", "-D", str(self._data), "-m", "immediate", "-w", "stop")

    def _run(self, program: str, *arguments: str) -> None:
        command = [*self._as, str(self._programs / program), *arguments]
        # no pipes: the server would keep them
        with (self._data.parent / "postgres.log").open("a") as log:
            done = subprocess.run(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd="/", timeout=60)
        assert done.returncode == 0, (self._data.parent / "postgres.log").read_text("utf-8")
