"""The process that starts commands for tests: it has imported what they import, and forks for each.

Knows nothing of tests; they use commands.py. Reads requests from the socket that is its standard input until that is
closed. Nothing here computes with MLX, so no thread of it is there when a command is forked off.
"""

import gc
import json
import os
import runpy
import socket
import sys
import warnings
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path

from harness.machine import blas

LIBRARIES = (
    "alembic.command",
    "harness.console.command",
    "harness.multirun.sweep",
    "harness.multirun.table",
    "harness.run.doctor",
    "harness.run.judging",
    "harness.run.pipeline",
    "harness.tracking.store",
    "hydra._internal.core_plugins.basic_sweeper",
    "matplotlib.pyplot",
    "mako.template",
    "mlflow",
    "mlflow.store.tracking.sqlalchemy_store",
    "mlx_lm",
    "optuna",
)
LARGEST = 1 << 16  # bytes of a request


@dataclass(frozen=True)
class Request:
    """`words`: what follows `python` on a command line: -m and a module, or -c and code; then the arguments."""

    words: list[str]
    folder: str
    environment: dict[str, str]

    def packed(self) -> bytes:
        return json.dumps(asdict(self)).encode()


def import_libraries() -> dict[str, str]:
    """What that adds to the environment."""
    before = dict(os.environ)
    blas.load()  # before mlx
    for name in LIBRARIES:
        import_module(name)
    gc.collect()
    gc.freeze()  # or each command would copy all of it as it ends, which takes a second
    return {name: value for name, value in os.environ.items() if name not in before}


def next_request(tests: socket.socket) -> Request:
    """Returns in the forked process alone, with its own files as standard output and error; ends the other ones.

    Several may be under way: each has a process of its own that waits for it and writes how it ended.
    """
    while True:
        packed, files, _, _ = socket.recv_fds(tests, LARGEST, 3)
        if not packed:
            os._exit(0)
        waiting = os.fork()
        if waiting == 0:
            child = os.fork()
            *standard_files, ended = files
            if child == 0:
                for standard, file in enumerate(standard_files, start=1):
                    os.dup2(file, standard)
                _close(files)
                return Request(**json.loads(packed))
            _close(standard_files)
            _, status = os.waitpid(child, 0)
            os.write(ended, str(os.waitstatus_to_exitcode(status)).encode())
            os._exit(0)
        _close(files)
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG) != (0, 0):
                pass


def _close(files: Iterable[int]) -> None:
    for file in files:
        os.close(file)


def main() -> None:
    tests = socket.socket(fileno=os.dup(0))
    added = import_libraries()
    warnings.filterwarnings("ignore", message=".*multi-threaded, use of fork", category=DeprecationWarning)
    request = next_request(tests)  # OpenBLAS and jemalloc, whose threads are there, bear a fork
    tests.close()
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.chdir(request.folder)
    os.environ.clear()
    os.environ.update(added | request.environment)
    sys.path[0] = str(Path.cwd())
    kind, what, *arguments = request.words
    if kind == "-m":
        sys.argv = ["", *arguments]
        runpy.run_module(what, run_name="__main__", alter_sys=True)
    else:
        sys.argv = ["-c", *arguments]
        exec(compile(what, "<string>", "exec"), {"__name__": "__main__"})


if __name__ == "__main__":
    main()
