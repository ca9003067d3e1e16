"""Whole commands, as a user types them, without the seconds in which a new process imports its libraries.

Each runs in a process of its own that is forked off one which has imported them. Where the start itself, signals or a
command's children are what a test is about, it starts a process as users do. macOS cannot fork once its frameworks are
loaded: there every command is a new process.
"""

import atexit
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from threading import Lock

from harness.config.paths import ROOT
from tests.forked import Request

Ended = subprocess.CompletedProcess[str]
Start = Callable[..., Ended]
_FIRST = Lock()  # commands may run at once


def run_command(*words: str, folder: Path, environment: Mapping[str, str] = os.environ, check: bool = False) -> Ended:
    """`python` with these words: -m and a module, or -c and code; then the arguments."""
    if sys.platform != "linux":
        return start_command(*words, folder=folder, environment=environment, check=check)
    return _checked(_run_forked(Request(list(words), str(folder), dict(environment))), check)


def start_command(*words: str, folder: Path, environment: Mapping[str, str] = os.environ, check: bool = False) -> Ended:
    """The same in a new process, where its start is to be seen too."""
    command = [sys.executable, *words]
    ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return _checked(ended, check)


def _checked(ended: Ended, check: bool) -> Ended:
    assert not check or ended.returncode == 0, ended.stderr
    return ended


def _run_forked(request: Request) -> Ended:
    with _FIRST:
        starter = _starter()
    pipes = [os.pipe() for _ in ("output", "error", "status")]
    socket.send_fds(starter, [request.packed()], [written for _, written in pipes])
    for _, written in pipes:
        os.close(written)
    with ThreadPoolExecutor(len(pipes)) as readers:
        output, error, status = readers.map(_read, [read for read, _ in pipes])
    return Ended(request.words, int(status), output, error)


def _read(pipe: int) -> str:
    with open(pipe, encoding="utf-8") as file:
        return file.read()


@cache
def _starter() -> socket.socket:
    """Of the process that forks, which lasts as long as this one."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        process = subprocess.Popen([sys.executable, "-m", "tests.forked"], cwd=ROOT, stdin=theirs.fileno())

    def end() -> None:
        ours.close()
        process.wait(timeout=60)

    atexit.register(end)
    return ours
