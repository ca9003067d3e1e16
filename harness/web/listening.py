"""A port of this machine, taken before anything is said of it; beyond this machine only with a token.

Knows nothing of what answers there.
"""

import errno
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from harness.errors import HarnessError
from harness.web.guard import is_loopback

_LEAST_TOKEN = 16  # characters


def token_for(host: str, variable: str) -> str | None:
    """What the environment's variable says; None where there is none, which does for this machine alone.

    Raises:
        HarnessError: for one that is too short, or none where others than this machine could ask.
    """
    token = os.environ.get(variable)
    if token is None and not is_loopback(host):
        raise HarnessError(
            f"--host={host} lets others ask, and needs a token: set the environment variable {variable} to "
            f"{_LEAST_TOKEN} or more letters and digits, or leave --host out to serve this machine alone"
        )
    if token is not None and not is_token(token):
        raise HarnessError(f"{variable} must be {_LEAST_TOKEN} or more letters and digits; leave it out for a new one")
    return token


def is_token(token: str) -> bool:
    return len(token) >= _LEAST_TOKEN and token.isascii() and token.replace("-", "").replace("_", "").isalnum()


@contextmanager
def listening(host: str, port: int) -> Iterator[socket.socket]:
    """Inside, the port is this process's; 0: any that is free.

    Raises:
        HarnessError: when it is taken, or the host is no address of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio switches off the waiting for fuller packets only where a socket says that it is of TCP
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
            listener.listen(128)  # before the link is said: who is quick waits
        except OSError as error:
            if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
                raise HarnessError(
                    f"--host={host} is no address of this machine ({error.strerror}); 0.0.0.0 means all it has"
                ) from error
            raise HarnessError(
                f"--port={port} on {host} cannot be used ({error.strerror}); choose another, such as --port {port + 1}"
            ) from error
        yield listener


def link(host: str, port: int) -> str:
    """The address that a person opens."""
    name = socket.gethostname() if host in ("0.0.0.0", "::") else host
    return f"http://{f'[{name}]' if ':' in name else name}:{port}/"
