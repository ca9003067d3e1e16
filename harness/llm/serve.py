"""A local model that is asked: stock mlx_lm.server with it, for as long as that takes.

Knows nothing of what the weights are.
"""

import json
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO

from harness.errors import HarnessError

SERVED = "default_model"  # mlx_lm.server's name for the model that it was started with
_PATIENCE_SECONDS = 900.0  # for reading, or downloading, the weights


@contextmanager
def served(model: str, *, setting: str) -> Iterator[str]:
    """The base URL of a server that is there inside, on a free port of this machine alone. `setting`: that names it.

    Raises:
        HarnessError: when it ends, or does not answer for long, with its last words.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlx_lm", "server", "--model", model, "--host", "127.0.0.1", "--port", str(port)]
    with tempfile.TemporaryFile("w+", encoding="utf-8") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            _wait(process, port, f"{setting}={model}", lambda: _last_words(log))
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.terminate()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait(process: "subprocess.Popen[bytes]", port: int, named: str, last_words: Callable[[], str]) -> None:
    """Until it has written its first token: only then are the weights known to be sound."""
    until = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < until:
        if process.poll() is not None:
            raise HarnessError(f"mlx_lm.server cannot serve {named}: {last_words()}")
        try:
            _first_token(f"http://127.0.0.1:{port}/v1/chat/completions", until - time.monotonic())
            return
        except urllib.error.HTTPError as error:  # it is up, and its thread that reads the weights has died
            raise HarnessError(f"mlx_lm.server cannot serve {named}: {last_words()}") from error
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise HarnessError(f"mlx_lm.server with {named} does not answer: {last_words()}")


def _first_token(address: str, seconds: float) -> None:
    body = {"model": SERVED, "messages": [{"role": "user", "content": "1"}], "max_tokens": 1}
    request = urllib.request.Request(address, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=max(seconds, 1.0)) as reply:
        reply.read()


def _last_words(log: IO[str]) -> str:
    """What follows the last frame of a traceback, else the last line; lines of requests are none."""
    log.seek(0)
    lines = [line.rstrip() for line in log.read().splitlines() if line.strip() and "HTTP/1." not in line]
    frames = [number for number, line in enumerate(lines) if line.startswith(" ")]
    words = lines[frames[-1] + 1 :] if frames else lines[-1:]
    return " ".join(words)[:300] or "it said nothing"
