"""Several processes as one: what each gives reaches all, and none is waited for in vain."""

import json
from pathlib import Path

import mlx.core as mx
import numpy as np

from harness.machine.group import ALONE
from tests.several import run_several

PROGRAM = """
import json, os, socket
import mlx.core as mx
import psutil
from harness.machine.group import join

group = join()
wide, odd = group.sum([mx.full((2, 3), group.rank + 1.0), mx.array([1, 2], mx.bfloat16)])
given = {"w": mx.array([1.5, -0.0], mx.bfloat16), "s": mx.array(2**40 + 1, mx.uint64), "e": mx.zeros((0, 4))}
shared = group.share_arrays(given if group.rank == 0 else {})
connections = [c for c in psutil.Process().net_connections("tcp") if c.raddr]
asked = [socket.socket(fileno=os.dup(c.fd)).getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) for c in connections]
print(json.dumps([
    [group.rank, group.size],
    [wide.tolist(), odd.tolist(), str(odd.dtype)],
    [group.share({"rank": group.rank}), group.gather([group.rank, None])],
    [str(shared[n].dtype) for n in shared] + [shared["w"].view(mx.uint16).tolist(), shared["s"].item()],
    shared["e"].shape,
    len(asked) >= 2 and all(asked),
]))
"""


def test_what_each_process_gives_reaches_all(tmp_path: Path) -> None:
    ended = run_several([["-c", PROGRAM]] * 3, tmp_path)
    assert [each.returncode for each in ended] == [0] * 3, ended[0].stderr
    for rank, each in enumerate(ended):
        who, summed, told, arrays, empty, machines_are_asked_after = json.loads(each.stdout)
        assert who == [rank, 3]
        assert summed == [[[6.0] * 3] * 2, [3.0, 6.0], "mlx.core.bfloat16"]
        assert told == [{"rank": 0}, [[0, None], [1, None], [2, None]]]
        assert arrays == ["mlx.core.bfloat16", "mlx.core.uint64", "mlx.core.float32", [0x3FC0, 0x8000], 2**40 + 1]
        assert empty == [0, 4]
        assert machines_are_asked_after, "or one that vanished would be waited for"


def test_one_process_alone_gets_back_what_it_gives() -> None:
    values = [mx.array([1.0, 2.0]), mx.array(3)]
    assert all(ours is given for ours, given in zip(ALONE.sum(values), values, strict=True))
    assert ALONE.share("x") == "x" and ALONE.gather("x") == ["x"]
    assert np.array_equal(np.array(ALONE.share_arrays({"a": values[0]})["a"]), [1.0, 2.0])


def test_processes_that_do_not_find_each_other_say_so_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "0").mkdir()
    words = ["-m", "harness.train"]
    (ended,) = run_several([words], tmp_path, hosts=[["no address"], ["127.0.0.1:1"]])
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1].startswith("error: the processes of mlx.launch must reach each other, but ")
