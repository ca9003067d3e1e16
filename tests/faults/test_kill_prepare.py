"""prepare killed or interrupted at any point leaves its output whole, or one that nobody trains on, and nothing else.

The process kills itself where it opens or renames a file, as the interpreter's audit events tell.
"""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from harness.config.schema import PrepareCommand
from harness.console.progress import Display
from harness.files.staging import staging
from harness.preparing.job import job_of
from harness.preparing.pipeline import prepare_folder
from tests.conftest import compose_config

CHILD = """
import os, re, sys
at, number = sys.argv.pop(1), int(sys.argv.pop(1))
def audit(event, args):
    if event in ("open", "os.rename") and re.search(at, f"{event} {args[0]} {args[1]}"):
        os.kill(os.getpid(), number)
sys.addaudithook(audit)
from harness.prepare import main
main()
"""


def words(folder: Path, *overrides: str) -> list[str]:
    return [
        "source=chat",
        f"source.path={folder / 'raw.jsonl'}",
        f"data.path={folder / 'out' / 'chats'}",
        "model.path=null",
        f"tracking.uri=sqlite:///{folder / 'mlflow.db'}",
        *overrides,
    ]


def killed(at: str, number: int, *given: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", CHILD, at, str(number), *given]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def prepare(folder: Path, *overrides: str) -> None:
    command = compose_config(*words(folder, *overrides), command=PrepareCommand, config_name="prepare")
    prepare_folder(job_of(command, Display()))


def write(folder: Path, answer: str) -> None:
    rows = [{"prompt": f"第{number}个", "completion": f"{answer}{number:x}" * 9} for number in range(30)]
    (folder / "raw.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")


def files(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.mark.parametrize("at", [r"open .*/\.rows ", r"open .*/\.report", "os.rename .*/out/chats$"])
def test_a_killed_one_leaves_no_output_and_the_next_one_nothing_of_it(at: str, tmp_path: Path) -> None:
    write(tmp_path, "河")
    (tmp_path / "out").mkdir()
    assert killed(at, signal.SIGKILL, *words(tmp_path)).returncode == -signal.SIGKILL
    (left,) = (tmp_path / "out").iterdir()
    assert left.name.startswith(".chats.")
    prepare(tmp_path)
    assert [each.name for each in (tmp_path / "out").iterdir()] == ["chats"]


def test_one_killed_while_it_replaces_an_output_leaves_none_to_train_on(tmp_path: Path) -> None:
    write(tmp_path, "河")
    prepare(tmp_path)
    before = files(tmp_path / "out" / "chats")
    (tmp_path / "out" / "chats" / "own.txt").write_text("mine", encoding="utf-8")
    write(tmp_path, "山")
    ended = killed("os.rename .*/out/chats/test.jsonl$", signal.SIGKILL, *words(tmp_path, "replace=true"))
    assert ended.returncode == -signal.SIGKILL
    between = files(tmp_path / "out" / "chats")
    assert "train.jsonl" not in between and "manifest.json" not in between
    prepare(tmp_path, "replace=true")
    assert [each.name for each in (tmp_path / "out").iterdir()] == ["chats"]
    after = files(tmp_path / "out" / "chats")
    assert after.keys() == {*before, "own.txt"} and after["train.jsonl"] != before["train.jsonl"]


@pytest.mark.parametrize(("at", "written"), [(r"open .*/\.rows ", False), ("os.rename .*/out/chats$", True)])
def test_ctrl_c_leaves_nothing_or_all_of_it(at: str, written: bool, tmp_path: Path) -> None:
    write(tmp_path, "河")
    (tmp_path / "out").mkdir()
    ended = killed(at, signal.SIGINT, *words(tmp_path))
    assert ended.returncode == 130 and ended.stderr.strip().splitlines()[-1] == "interrupted from the keyboard"
    assert [each.name for each in (tmp_path / "out").iterdir()] == (["chats"] if written else [])
    if written:
        prepare(tmp_path)  # which would refuse to change it


def test_what_a_process_that_lives_is_making_stays(tmp_path: Path) -> None:
    (tmp_path / ".out.of-mine").mkdir()
    with staging(tmp_path / "out", setting="data.path") as one:
        (one / "file").touch()
        with staging(tmp_path / "out", setting="data.path") as other:
            assert one != other and (one / "file").exists()
    assert [each.name for each in tmp_path.iterdir()] == [".out.of-mine"]


def test_the_processes_that_read_docstrings_end_with_the_one_that_was_killed(tmp_path: Path) -> None:
    given = ["source=docstrings", "source.packages=[stdlib]", *words(tmp_path)[2:]]
    with subprocess.Popen([sys.executable, "-c", CHILD, "never", "0", *given], stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        while len(_children(process.pid)) < 2:
            assert process.poll() is None
        process.kill()
        process.stderr.read()  # until the last of them has closed it


def _children(pid: int) -> list[str]:
    listed = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True).stdout
    return listed.split()
