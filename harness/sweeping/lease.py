"""Who works on a trial: a process by its host, id and start time, so that an id used again is not trusted."""

import os
import socket
from typing import Any

import psutil

Lease = dict[str, Any]


def own_lease() -> Lease:
    return {"host": socket.gethostname(), "pid": os.getpid(), "started": psutil.Process().create_time()}


def is_gone(lease: Lease | None) -> bool:
    """Whether its process is known to be gone. Of another machine nothing is known."""
    if lease is None:
        return True
    if lease["host"] != socket.gethostname():
        return False
    try:
        return abs(psutil.Process(lease["pid"]).create_time() - lease["started"]) > 1.0
    except psutil.NoSuchProcess:
        return True
