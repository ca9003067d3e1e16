"""Commands as mlx.launch starts them: several processes, each with its number and the addresses of all, on loopback."""

import json
import os
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from tests.commands import Ended, run_command


def run_several(
    words: Sequence[Sequence[str]], folder: Path, *, hosts: Sequence[Sequence[str]] | None = None
) -> list[Ended]:
    """`python` with these words, a process for each, in the folders 0, 1, … of this one; how they ended, in order.

    `hosts`: the addresses that they are told, if not free ones.
    """
    told = folder / "hosts.json"
    told.write_text(json.dumps(hosts or [[f"127.0.0.1:{port}"] for port in _free_ports(len(words))]), "utf-8")

    def run(rank: int) -> Ended:
        own = folder / str(rank)
        own.mkdir(exist_ok=True)
        environment = os.environ | {"MLX_RANK": str(rank), "MLX_HOSTFILE": str(told)}
        return run_command(*words[rank], folder=own, environment=environment)

    with ThreadPoolExecutor(len(words)) as threads:
        return list(threads.map(run, range(len(words))))


def _free_ports(count: int) -> list[int]:
    with ExitStack() as open_sockets:
        sockets = [open_sockets.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
