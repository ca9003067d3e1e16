"""The processes that mlx.launch started together, as one value: who this one is, and how numbers reach the others.

Does not know what they do together. Each call but `join` is one that all of them make, in the same order. What is
waited for in vain is an error: MLX's ring says at once when a process of it has gone, and where a whole machine has,
after half a minute.
"""

import json
import os
import signal
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import mlx.core as mx
import numpy as np
import psutil

from harness.errors import HarnessError, LostError, reason
from harness.machine.launched import is_one_of_several

_SILENT_SECONDS = 10  # then a machine is asked whether it is there
_ASKED_EVERY_SECONDS, _ASKED_TIMES = 5, 4


@dataclass(frozen=True)
class Group:
    """`rank`: the number of this process, from 0, of `size`. Of one alone, nothing is sent and all comes back."""

    rank: int
    size: int

    def sum(self, values: Sequence[mx.array]) -> list[mx.array]:
        """Each summed over the processes, which all get the same; computed in float32, as one message.

        Raises:
            LostError: when another process is gone.
        """
        if self.size == 1:
            return list(values)
        flat = mx.concatenate([value.astype(mx.float32).reshape(-1) for value in values])
        mx.eval(flat)  # what goes wrong here is this process's own
        ends = list(accumulate(value.size for value in values))
        parts = mx.split(self._summed(flat), ends[:-1])
        return [part.reshape(value.shape).astype(value.dtype) for part, value in zip(parts, values, strict=True)]

    def sum_bits(self, bits: mx.array) -> mx.array:
        """Unsigned numbers of which one process at most has others than zeros, in each place."""
        return bits if self.size == 1 else self._summed(bits)

    def share(self, value: Any) -> Any:
        """What the first process gives; as JSON can hold it."""
        return self._of(0, value)

    def gather(self, value: Any) -> list[Any]:
        """What each process gives, in their order; as JSON can hold it."""
        return [self._of(rank, value) for rank in range(self.size)]

    def share_arrays(self, arrays: Mapping[str, mx.array]) -> dict[str, mx.array]:
        """Those of the first process, bit for bit; what the others give does not matter."""
        if self.size == 1:
            return dict(arrays)
        told = [(name, list(value.shape), _name(value.dtype)) for name, value in arrays.items()]
        return {name: self._array(arrays.get(name), shape, dtype) for name, shape, dtype in self.share(told)}

    def _array(self, value: mx.array | None, shape: list[int], dtype: str) -> mx.array:
        kind: mx.Dtype = getattr(mx, dtype)
        if 0 in shape:
            return mx.zeros(shape, kind)
        if self.rank == 0 and value is not None:
            self._summed(value.reshape(-1).view(mx.uint8))
            return value
        empty = mx.zeros(int(np.prod(shape)) * kind.size, mx.uint8)
        return self._summed(empty).view(kind).reshape(shape)

    def _of(self, rank: int, value: Any) -> Any:
        if self.size == 1:
            return value
        content = json.dumps(value).encode() if rank == self.rank else b""
        length = self._summed(mx.array([len(content)], mx.int32)).item()
        own = np.frombuffer(content, np.uint8) if rank == self.rank else np.zeros(length, np.uint8)
        return json.loads(np.array(self._summed(mx.array(own))).tobytes())

    def _summed(self, values: mx.array) -> mx.array:
        mx.eval(values)
        try:
            summed = mx.distributed.all_sum(values)
            mx.eval(summed)
        except RuntimeError as error:
            raise LostError(
                f"of the {self.size} processes that train together all must stay, but one has ended or cannot be "
                "reached; see what it said, then start them again with train.resume=auto"
            ) from error
        return summed


ALONE = Group(0, 1)


def join() -> Group:
    """The group of this process, once all of them are there.

    Raises:
        HarnessError: when they do not find each other.
    """
    if not is_one_of_several():
        return ALONE
    try:
        with _usual_signals():
            group = mx.distributed.init(strict=True)
    except (RuntimeError, ValueError) as error:
        raise HarnessError(
            f"the processes of mlx.launch must reach each other, but {reason(error)}; look at its hosts and ports"
        ) from error
    _ask_silent_machines()
    return Group(group.rank(), group.size())


@contextmanager
def _usual_signals() -> Iterator[None]:
    """A process that waits for others in MLX hears no Python: a signal is to end it."""
    heard = [n for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP) if callable(signal.getsignal(n))]
    former = {number: signal.signal(number, signal.SIG_DFL) for number in heard}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def _ask_silent_machines() -> None:
    """Have the system notice a machine that vanished from MLX's connections, which would wait for it for ever."""
    for connection in psutil.Process().net_connections(kind="tcp"):
        if connection.fd < 0 or not connection.raddr:
            continue
        with socket.socket(fileno=os.dup(connection.fd)) as same:
            same.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            idle = getattr(socket, "TCP_KEEPIDLE", None) or getattr(socket, "TCP_KEEPALIVE")  # noqa: B009 (macOS's name)
            same.setsockopt(socket.IPPROTO_TCP, idle, _SILENT_SECONDS)
            same.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _ASKED_EVERY_SECONDS)
            same.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, _ASKED_TIMES)


def _name(dtype: mx.Dtype) -> str:
    return str(dtype).rpartition(".")[2]
